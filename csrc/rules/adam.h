// Adam (Kingma & Ba 2015): m = beta1*m + (1-beta1)*g,  r = beta2*r + (1-beta2)*g^2,
//   w = w - rate*m / (sqrt(r_scale*r + eps_in) + eps_out).
// Bias-corrected: rate = lr/(1-beta1^t), r_scale = 1/(1-beta2^t); uncorrected: (lr, 1).
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct Adam {
  static constexpr const char* kName = "adam";
  static constexpr std::array kSlots{"m", "r"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(rate, beta1, one_minus_beta1, beta2, one_minus_beta2, r_scale, eps_in, eps_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T &m = s[0], &r = s[1];
    m = fma_(k.beta1, m, k.one_minus_beta1 * g);
    r = fma_(k.beta2, r, k.one_minus_beta2 * (g * g));
    w = fma_(-k.rate, divide(m, sqrt_(fma_(k.r_scale, r, k.eps_in)) + k.eps_out), w);
  }
};

}  // namespace steep::STEEP_ISA::rules
