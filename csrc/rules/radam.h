// RAdam (Liu et al. 2020): m, r as in Adam,
//   w = w - plain*m - adaptive*m / (sqrt(r_scale*r + eps_in) + eps_out).
// While the variance of r is not tractable, adaptive is 0; from then on plain is.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct RAdam {
  static constexpr const char* kName = "radam";
  static constexpr std::array kSlots{"m", "r"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(plain, adaptive, beta1, one_minus_beta1, beta2, one_minus_beta2, r_scale, eps_in,
              eps_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T &m = s[0], &r = s[1];
    m = fma_(k.beta1, m, k.one_minus_beta1 * g);
    r = fma_(k.beta2, r, k.one_minus_beta2 * (g * g));
    const T root = sqrt_(fma_(k.r_scale, r, k.eps_in)) + k.eps_out;
    w = fma_(-k.adaptive, divide(m, root), fma_(-k.plain, m, w));
  }
};

}  // namespace steep::STEEP_ISA::rules
