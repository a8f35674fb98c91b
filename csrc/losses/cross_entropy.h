// Cross entropy of softmax(z) with targets t smoothed by s, t' = (1-s)*t + s/C:
//   -sum t' log(p) = sum(t')*log(sum e^d) - sum t' d,  d = z - max(z);  gradient sum(t')*p - t'.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::losses {

struct CrossEntropy {
  static constexpr const char* kName = "cross_entropy";
  static constexpr bool kClassification = true;
  static constexpr bool kPerColumn = false;

  // From the sums over one row of e^d, d, t and t*d; spread is s/C.
  template <class T>
  STEEP_HD static T value(T sum_exp, T sum_d, T sum_t, T sum_td, T s, T spread) {
    const T smoothed = (T(1) - s) * sum_t + s;
    return smoothed * log_(sum_exp) - ((T(1) - s) * sum_td + spread * sum_d);
  }
  // e is e^d; scale is sum(t')/sum e^d.
  template <class T>
  STEEP_HD static T grad(T e, T t, T scale, T keep, T spread) {
    return fma_(e, scale, -fma_(keep, t, spread));
  }
};

}  // namespace steep::STEEP_ISA::losses
