// NAdam (Dozat 2016): m, r as in Adam,
//   w = w - (rate_g*g + rate_m*m) / (sqrt(r_scale*r + eps_in) + eps_out);
// the products of the momentum schedule are folded into rate_g and rate_m.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct NAdam {
  static constexpr const char* kName = "nadam";
  static constexpr std::array kSlots{"m", "r"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(rate_g, rate_m, beta1, one_minus_beta1, beta2, one_minus_beta2, r_scale, eps_in,
              eps_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T &m = s[0], &r = s[1];
    m = fma_(k.beta1, m, k.one_minus_beta1 * g);
    r = fma_(k.beta2, r, k.one_minus_beta2 * (g * g));
    const T root = sqrt_(fma_(k.r_scale, r, k.eps_in)) + k.eps_out;
    w -= divide(fma_(k.rate_g, g, k.rate_m * m), root);
  }
};

}  // namespace steep::STEEP_ISA::rules
