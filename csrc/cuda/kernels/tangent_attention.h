// What the host asks of attention in dual numbers. Plain data, as in tangent.h.
#pragma once
#include "cuda/kernels/tangent.h"

namespace steep::cuda {

// Positions of a sample, so many numbers apart.
struct DualPositions {
  DualNumber* data = nullptr;
  long ld = 0;
  int step = 0;
};

struct DualHeads {
  int heads, head, queries, keys;
  int many;      // keys, in whole panels
  int together;  // queries, whose rows of probabilities are as wide as the last one's
  DualPositions q, k, v;
  Duals lengths;  // no data where all keys count
  bool causal, drops;
  Drawn drawn;
  double rate;
};
struct DualSlopes { DualPositions q, k, v; };

// Probabilities of some heads at a time, as many as `room` numbers hold. Backward takes twice as much.
constexpr long kDualRoom = 4L << 20;
void attend(const Place& at, const DualHeads& of, DualNumber* room, const DualPositions& y);
void attend_back(const Place& at, const DualHeads& of, DualNumber* room, const DualPositions& dy,
                 const DualSlopes& to, bool accumulate);

}  // namespace steep::cuda
