// Which ops of a program have an activation, as recorded steps look at them.
#pragma once
#include <string>
#include <vector>

#include "graph/program.h"

namespace steep {

struct Activated {
  std::size_t op;    // its place in the program
  std::string name;  // of the activation
  double low, high;  // an output that is not between them is saturated; of low >= high none is
};

// Of the graph's own tensors, in their order: what is computed again for the backward pass is the same.
std::vector<Activated> activated(const Program& program);

}  // namespace steep
