// Cross entropy of softmax(z) with targets t smoothed by s, t' = (1-s)*t + s/C:
//   -sum t' log(p) = sum(t')*log(sum e^d) - sum t' d,  d = z - max(z);  gradient sum(t')*p - t'.
// The largest z adds 1 to sum e^d. What the others add is kept apart: where they are tiny, so are
// the loss and the gradient of the largest.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::losses {

struct CrossEntropy {
  static constexpr const char* kName = "cross_entropy";
  static constexpr bool kClassification = true;
  static constexpr bool kPerColumn = false;

  // From the sums over one row of d, t and t*d, and over the others of e^d; spread is s/C.
  template <class T>
  STEEP_HD static T value(T others, T sum_d, T sum_t, T sum_td, T s, T spread) {
    const T smoothed = (T(1) - s) * sum_t + s;
    return smoothed * log1p_(others) - ((T(1) - s) * sum_td + spread * sum_d);
  }
  // e is e^d; scale is sum(t')/sum e^d.
  template <class T>
  STEEP_HD static T grad(T e, T t, T scale, T keep, T spread) {
    return fma_(e, scale, -fma_(keep, t, spread));
  }
  // Of the largest z, whose p may be 1 but for the others; others_t is the sum of their t, classes
  // how many there are in all.
  template <class T>
  STEEP_HD static T grad_of_largest(T others, T others_t, T scale, T keep, T spread, T classes) {
    return fma_(keep, others_t, spread * (classes - T(1))) - others * scale;
  }
};

}  // namespace steep::STEEP_ISA::losses
