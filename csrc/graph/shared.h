// What of an objective's forward pass an earlier objective of the same step has done already. Pure: whose memory
// the results lie in is a device's.
#pragma once
#include <vector>

#include "graph/program.h"

namespace steep {

struct Shared {
  std::vector<bool> found;  // by tensor of the later program: what writes it need not be done again
  // By tensor of the later program, that of the earlier one which has to stay for it; -1 for none.
  std::vector<int> kept;
  bool any() const { return !kept.empty(); }
};

// Both of one graph and for the same samples and draws; `moved` are the parameters that change in between.
Shared shared_pass(const Program& first, const Program& then, std::vector<bool> moved);

// The tensor whose memory each tensor uses: aliases have that of what they stand for.
std::vector<int> roots(const Program& program);

}  // namespace steep
