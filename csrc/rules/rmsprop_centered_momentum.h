// RMSProp by the variance of the gradient (Graves 2013), with momentum: m = rho*m + (1-rho)*g,
//   r = rho*r + (1-rho)*g^2,  d = g / (sqrt(r - m^2 + eps_in) + eps_out),
//   v = mu*v - rate_in*d,  w = w + rate_out*v - rate_direct*d.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"
#include "rules/rmsprop_centered.h"

namespace steep::STEEP_ISA::rules {

struct RMSPropCenteredMomentum {
  static constexpr const char* kName = "rmsprop_centered_momentum";
  static constexpr std::array kSlots{"r", "m", "v"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(mu, rate_in, rate_out, rate_direct, rho, one_minus_rho, eps_in, eps_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T &r = s[0], &m = s[1], &v = s[2];
    r = fma_(k.rho, r, k.one_minus_rho * (g * g));
    m = fma_(k.rho, m, k.one_minus_rho * g);
    const T d = divide(g, centered_root(r, m, k.eps_in, k.eps_out));
    v = fma_(k.mu, v, -(k.rate_in * d));
    w = fma_(k.rate_out, v, fma_(-k.rate_direct, d, w));
  }
};

}  // namespace steep::STEEP_ISA::rules
