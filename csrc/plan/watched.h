// Which ops of a program have an activation, as recorded steps look at them.
#pragma once
#include <string>
#include <vector>

#include "graph/program.h"

namespace steep {

// An op with an activation: elements of a sample, and units, the places of its last axis. A unit is dead where
// it is 0 everywhere in the batch, an element saturated where it is not between the two; of low >= high none is.
struct Watched {
  std::string layer, activation;
  int tensor;
  long width, channels;
  double low, high;
};

// Of the graph's own tensors, in their order: what is computed again for the backward pass is the same.
std::vector<Watched> watched(const Program& program);

}  // namespace steep
