// The switch, the first finding, and the walk over the padding of parameters.
#include "cpu/invariants.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "base/dual.h"
#include "base/error.h"
#include "cpu.h"

namespace steep {

namespace {

bool asked_for() {
  const char* value = std::getenv("STEEP_CHECK");
  return value != nullptr && std::string(value) == "1";
}

const bool fatal = asked_for();
std::atomic<bool> broken{false};
std::mutex first;         // guards `finding`
std::string& finding() {  // never destroyed: threads may still run when the process ends
  static auto* const text = new std::string;
  return *text;
}

}  // namespace

std::atomic<bool> invariants_checked{fatal};

std::string cpu::check_invariants(bool turn_on) {
  const std::lock_guard lock(first);
  invariants_checked = turn_on;
  broken = false;
  return std::exchange(finding(), {});
}

void report_broken(const std::string& what) {
  const std::lock_guard lock(first);
  if (fatal) {
    std::fprintf(stderr, "steep: broken invariant: %s\n", what.c_str());
    std::abort();
  }
  if (!broken.exchange(true)) finding() = what;
}

template <class T> void check_padding(const CpuStore<T>& store, const char* what) {
  for (int i = 0; i < store.columns(); ++i) {
    for (const Slice& s : store.layout(i).slices) {
      if (s.size == 0) continue;
      const Panels panels = s.panels();
      const long last = panels.count() - 1;
      for (long r = 0; r < s.rows; ++r) {
        const T* row = store.column(i) + s.offset + panels.at(r, last * kPanel);
        for (long c = panels.present(last); c < panels.width(last); ++c) {
          if (row[c] == 0) continue;
          return report_broken(text(what, " of \"", s.name, "\" has ", portable::plain(row[c]),
                                    " in the padding of row ", r, ", place ", last * kPanel + c,
                                    " of ", s.columns));
        }
      }
    }
  }
}

template void check_padding(const CpuStore<float>&, const char*);
template void check_padding(const CpuStore<double>&, const char*);
template void check_padding(const CpuStore<portable::Dual>&, const char*);

}  // namespace steep
