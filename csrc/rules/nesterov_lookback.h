// Nesterov momentum with the gradient taken at w itself, as PyTorch and Keras have it:
//   v = mu*v - rate_in*g,  w = w + rate_out*mu*v - rate_direct*g.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct NesterovLookback {
  static constexpr const char* kName = "nesterov_lookback";
  static constexpr std::array kSlots{"v"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(mu, rate_in, rate_out, rate_direct);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T& v = s[0];
    v = fma_(k.mu, v, -(k.rate_in * g));
    w = fma_(k.rate_out * k.mu, v, fma_(-k.rate_direct, g, w));
  }
};

}  // namespace steep::STEEP_ISA::rules
