// RMSProp with Nesterov momentum (Goodfellow et al. 2016, algorithm 8.6), the gradient taken at the
// point w + look*v: r = rho*r + (1-rho)*g^2,  v = mu*v - rate_in*g / (sqrt(r + eps_in) + eps_out),
//   w = w + rate_out*v,  point = w + look_next*v.
// The sweep keeps the point in place of w, and finds w with look, the look_next of the step before.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct RMSPropNesterov {
  static constexpr const char* kName = "rmsprop_nesterov";
  static constexpr std::array kSlots{"r", "v"};
  static constexpr bool kLookAhead = true;
  STEEP_KNOBS(look, look_next, mu, rate_in, rate_out, rho, one_minus_rho, eps_in, eps_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T &r = s[0], &v = s[1];
    r = fma_(k.rho, r, k.one_minus_rho * (g * g));
    v = fma_(k.mu, v, -(k.rate_in * divide(g, sqrt_(r + k.eps_in) + k.eps_out)));
    w = fma_(k.rate_out, v, w);
  }
};

}  // namespace steep::STEEP_ISA::rules
