// What the host asks of recurrent layers in dual numbers. Plain data, as in tangent.h.
#pragma once
#include "cuda/kernels/recurrent.h"
#include "cuda/kernels/tangent.h"

namespace steep::cuda {

struct DualGates {  // W or U, as it is stored
  const DualNumber* data;
  Panels panels;
  bool narrow;
};
struct DualLayer {
  Steps steps;   // but for its scale
  double scale;  // of what dropout keeps
  DualGates w, u;
  const DualNumber *of_x, *of_h;   // biases, or null
  Duals start;                     // no data where there is none
  static constexpr int kRoom = 4;  // times the units: numbers of a row besides its records
};

void recurrent(const Place& at, const DualLayer& of, const Duals& x, const Duals& tape,
               DualNumber* room, const Duals& y);
// Gates in the tape become their gradients.
void recurrent_grad(const Place& at, const DualLayer& of, const Duals& dy, DualNumber* room,
                    const Duals& tape);
void recurrent_input_grad(const Place& at, const DualLayer& of, const Duals& tape, const Duals& dx,
                          bool accumulate);

// Of each position of a row so many numbers, `each` from position to position.
struct DualSown {
  Duals of;
  int each, width;
};
// dw (+)= x^T dz over the positions of all rows; as many of a row as `lengths` says, where it has memory.
void positions_grad_weight(const Place& at, const DualSown& x, const DualSown& dz, int positions,
                           const Duals& lengths, const DualFactor& dw, bool accumulate);

}  // namespace steep::cuda
