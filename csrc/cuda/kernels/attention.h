// What the host asks of the device for attention of heads. Plain data only; which keys a query sees, and how
// probabilities are dropped, is as on the CPU.
#pragma once
#include "cuda/kernels/launch.h"

namespace steep::cuda {

constexpr int kQueriesTogether =
    32;  // of the CPU: it takes whole panels of the keys that the last one sees

// Rows of a batch that hold positions, so many numbers apart; heads lie side by side in each.
struct Positions {
  float* data;
  long ld;
  int step;
};
struct Heads {
  int heads, size, queries, keys;  // size: numbers of a head
  Positions q, k, v;
  View lengths;  // how many keys each row has; all of them where it has no memory
  float scale;   // of products
  bool causal, drops;
  Drawn drawn;  // probabilities are kept where their word reaches the threshold
  uint32_t threshold;
  float kept;
};
// y = softmax(scale Q K^T) V of each head
void attend(const Place& at, const Heads& of, const Positions& y);
// The gradients of Q, K and V. What goes from one kernel to the next takes a row of (heads, queries, kNoted).
constexpr int kNoted = 4;
struct Slopes { Positions q, k, v; };
void attend_back(const Place& at, const Heads& of, const Positions& dy, const View& notes,
                 const Slopes& to, bool accumulate);

}  // namespace steep::cuda
