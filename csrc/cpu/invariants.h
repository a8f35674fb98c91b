// A law of the engine that a switch lets every call prove: padding is zero. Off, it costs one read of
// a flag for each phase; the calls themselves know nothing of it.
#pragma once
#include <atomic>
#include <string>

#include "cpu/kernels.h"
#include "cpu/store.h"

namespace steep {

// Is the switch on? From the start where STEEP_CHECK=1 is in the environment; what is found broken
// then ends the process, with the op's layer in the message. Else cpu::check_invariants turns it.
extern std::atomic<bool> invariants_checked;
inline bool checking() { return invariants_checked.load(std::memory_order_relaxed); }
// Remembers what is broken, or ends the process. Any thread may call it.
void report_broken(const std::string& what);

// Reports a parameter whose padding is not 0 in a column; `what` names the columns: "the weight", "the
// gradient", "a slot".
template <class T> void check_padding(const CpuStore<T>& store, const char* what);

}  // namespace steep
