// RMSProp by the variance of the gradient (Graves 2013): m = rho*m + (1-rho)*g,
//   r = rho*r + (1-rho)*g^2,  w = w - lr*g / (sqrt(r - m^2 + eps_in) + eps_out).
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

// The root below the gradient. Of equal gradients r - m^2 is 0, and a little less where it is rounded.
template <class T>
STEEP_HD T centered_root(T r, T m, T eps_in, T eps_out) {
  return sqrt_(max_(fma_(-m, m, r), T(0)) + eps_in) + eps_out;
}

struct RMSPropCentered {
  static constexpr const char* kName = "rmsprop_centered";
  static constexpr std::array kSlots{"r", "m"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(lr, rho, one_minus_rho, eps_in, eps_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T &r = s[0], &m = s[1];
    r = fma_(k.rho, r, k.one_minus_rho * (g * g));
    m = fma_(k.rho, m, k.one_minus_rho * g);
    w = fma_(-k.lr, divide(g, centered_root(r, m, k.eps_in, k.eps_out)), w);
  }
};

}  // namespace steep::STEEP_ISA::rules
