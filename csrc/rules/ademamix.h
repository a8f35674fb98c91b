// AdEMAMix (Pagliardini et al. 2024): m, r as in Adam, slow = beta3*slow + (1-beta3)*g,
//   w = w - (rate*m + rate_slow*slow) / (sqrt(r_scale*r + eps_in) + eps_out).
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct AdEMAMix {
  static constexpr const char* kName = "ademamix";
  static constexpr std::array kSlots{"m", "slow", "r"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(rate, rate_slow, beta1, one_minus_beta1, beta2, one_minus_beta2, beta3,
              one_minus_beta3, r_scale, eps_in, eps_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T &m = s[0], &slow = s[1], &r = s[2];
    m = fma_(k.beta1, m, k.one_minus_beta1 * g);
    slow = fma_(k.beta3, slow, k.one_minus_beta3 * g);
    r = fma_(k.beta2, r, k.one_minus_beta2 * (g * g));
    const T root = sqrt_(fma_(k.r_scale, r, k.eps_in)) + k.eps_out;
    w -= divide(fma_(k.rate, m, k.rate_slow * slow), root);
  }
};

}  // namespace steep::STEEP_ISA::rules
