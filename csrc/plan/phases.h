// Cuts a program into phases between which all threads meet. Pure.
#pragma once
#include <vector>

#include "ops/list.h"

namespace steep {

// Ops [first, last) of a program. In a phase of rows every thread runs all ops on its own samples;
// in one that crosses samples, ops are shared by units of their own.
struct PhaseSpan {
  bool crosses;
  std::size_t first, last;
};

// Reorders ops so that as few meetings as possible are needed, and returns the phases in order of
// execution. Ops that cross samples wait until somebody needs what they write, or is about to
// overwrite what they read; those that read no tensor come first. root[t] is the tensor whose
// memory tensor t uses.
std::vector<PhaseSpan> cut_into_phases(std::vector<Op>& ops, const std::vector<int>& root);

}  // namespace steep
