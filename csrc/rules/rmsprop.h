// RMSProp (Hinton 2012): r = rho*r + (1-rho)*g^2,  w = w - lr*g / (sqrt(r + eps_in) + eps_out).
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct RMSProp {
  static constexpr const char* kName = "rmsprop";
  static constexpr std::array kSlots{"r"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(lr, rho, one_minus_rho, eps_in, eps_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T& r = s[0];
    r = fma_(k.rho, r, k.one_minus_rho * (g * g));
    w = fma_(-k.lr, divide(g, sqrt_(r + k.eps_in) + k.eps_out), w);
  }
};

}  // namespace steep::STEEP_ISA::rules
