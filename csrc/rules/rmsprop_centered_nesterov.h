// RMSProp by the variance of the gradient with Nesterov momentum, the gradient taken at the point
// w + look*v: m, r and d as with momentum,
//   v = mu*v - rate_in*d,  w = w + rate_out*v,  point = w + look_next*v.
// The sweep keeps the point in place of w, and finds w with look, the look_next of the step before.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"
#include "rules/rmsprop_centered.h"

namespace steep::STEEP_ISA::rules {

struct RMSPropCenteredNesterov {
  static constexpr const char* kName = "rmsprop_centered_nesterov";
  static constexpr std::array kSlots{"r", "m", "v"};
  static constexpr bool kLookAhead = true;
  STEEP_KNOBS(look, look_next, mu, rate_in, rate_out, rho, one_minus_rho, eps_in, eps_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T &r = s[0], &m = s[1], &v = s[2];
    r = fma_(k.rho, r, k.one_minus_rho * (g * g));
    m = fma_(k.rho, m, k.one_minus_rho * g);
    v = fma_(k.mu, v, -(k.rate_in * divide(g, centered_root(r, m, k.eps_in, k.eps_out))));
    w = fma_(k.rate_out, v, w);
  }
};

}  // namespace steep::STEEP_ISA::rules
