// Momentum (Polyak 1964): v = mu*v - rate_in*g,  w = w + rate_out*v.
// The rate inside the velocity: (lr, 1); outside, as PyTorch has it: (1, lr).
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct Momentum {
  static constexpr const char* kName = "momentum";
  static constexpr std::array kSlots{"v"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(mu, rate_in, rate_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T& v = s[0];
    v = fma_(k.mu, v, -(k.rate_in * g));
    w = fma_(k.rate_out, v, w);
  }
};

}  // namespace steep::STEEP_ISA::rules
