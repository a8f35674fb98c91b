// ASGD (Polyak & Juditsky 1992): w = w - rate*g,  average = (1-mu)*average + mu*w.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct ASGD {
  static constexpr const char* kName = "asgd";
  static constexpr std::array kSlots{"ax"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(rate, mu, one_minus_mu);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T& average = s[0];
    w = fma_(-k.rate, g, w);
    average = fma_(k.mu, w, k.one_minus_mu * average);
  }
};

}  // namespace steep::STEEP_ISA::rules
