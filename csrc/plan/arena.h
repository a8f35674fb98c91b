// Gives every buffer of a plan its place in the Arena, from its size and lifetime. Pure.
#pragma once
#include <vector>

namespace steep {

struct Lifetime {
  long stride;      // bytes of one row
  int first, last;  // first and last op that touches it
};

struct Placement {
  std::vector<long> offset;  // bytes, one per buffer
  long size = 0;             // bytes
};

// Threads run through a plan's sample-wise ops without meeting, each on its own rows. Memory may
// therefore pass from one buffer to another only where both cut it into the same rows: equal strides.
Placement place(const std::vector<Lifetime>& buffers, long rows);

}  // namespace steep
