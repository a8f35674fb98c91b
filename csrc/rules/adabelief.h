// AdaBelief (Zhuang et al. 2020): m as in Adam, r = beta2*r + (1-beta2)*(g - m)^2,
//   w = w - rate*m / (sqrt(r_scale*r + eps_in) + eps_out);
// what the paper adds to r at every step is added up in eps_in.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct AdaBelief {
  static constexpr const char* kName = "adabelief";
  static constexpr std::array kSlots{"m", "r"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(rate, beta1, one_minus_beta1, beta2, one_minus_beta2, r_scale, eps_in, eps_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T &m = s[0], &r = s[1];
    m = fma_(k.beta1, m, k.one_minus_beta1 * g);
    const T surprise = g - m;
    r = fma_(k.beta2, r, k.one_minus_beta2 * (surprise * surprise));
    w = fma_(-k.rate, divide(m, sqrt_(fma_(k.r_scale, r, k.eps_in)) + k.eps_out), w);
  }
};

}  // namespace steep::STEEP_ISA::rules
