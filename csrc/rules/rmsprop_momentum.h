// RMSProp with momentum: r = rho*r + (1-rho)*g^2,
//   d = g / (sqrt(r + eps_in) + eps_out),  v = mu*v - rate_in*d,
//   w = w + rate_out*v - rate_direct*d; the last term is Optax's Nesterov momentum, which looks back.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct RMSPropMomentum {
  static constexpr const char* kName = "rmsprop_momentum";
  static constexpr std::array kSlots{"r", "v"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(mu, rate_in, rate_out, rate_direct, rho, one_minus_rho, eps_in, eps_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T &r = s[0], &v = s[1];
    r = fma_(k.rho, r, k.one_minus_rho * (g * g));
    const T d = divide(g, sqrt_(r + k.eps_in) + k.eps_out);
    v = fma_(k.mu, v, -(k.rate_in * d));
    w = fma_(k.rate_out, v, fma_(-k.rate_direct, d, w));
  }
};

}  // namespace steep::STEEP_ISA::rules
