// Gives every buffer of a plan its place in the Arena, from its size and lifetime. Pure.
#pragma once
#include <vector>

namespace steep {

struct Lifetime {
  long stride;                  // bytes of one row
  long rows;                    // of the buffer
  int first, last;              // first and last op that touches it
  int first_phase, last_phase;  // theirs
  long bytes() const { return stride * rows; }
};

struct Placement {
  std::vector<long> offset;  // bytes, one per buffer
  long size = 0;             // bytes
};

// Threads meet between phases: memory may pass to any buffer of a later phase. Within a phase of
// rows they do not, each is on its own rows, and memory may pass from one buffer to another only
// where both cut it into the same rows: equal strides.
Placement place(const std::vector<Lifetime>& buffers);

}  // namespace steep
