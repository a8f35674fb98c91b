// Nesterov momentum (Sutskever et al. 2013), the gradient taken at the point w + look*v:
//   v = mu*v - rate_in*g(point),  w = w + rate_out*v,  point = w + look_next*v.
// The sweep keeps the point in place of w, and finds w with look, the look_next of the step before.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct Nesterov {
  static constexpr const char* kName = "nesterov";
  static constexpr std::array kSlots{"v"};
  static constexpr bool kLookAhead = true;
  STEEP_KNOBS(look, look_next, mu, rate_in, rate_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T& v = s[0];
    v = fma_(k.mu, v, -(k.rate_in * g));
    w = fma_(k.rate_out, v, w);
  }
};

}  // namespace steep::STEEP_ISA::rules
