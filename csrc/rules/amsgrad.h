// AMSGrad (Reddi et al. 2018): Adam whose denominator never falls, rmax = max(rmax, r_kept*r),
//   w = w - rate*m / (sqrt(r_scale*rmax + eps_in) + eps_out).
// r is corrected below the root, or before it is kept, as Optax has it: one of the scales is 1.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct AMSGrad {
  static constexpr const char* kName = "amsgrad";
  static constexpr std::array kSlots{"m", "r", "rmax"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(rate, beta1, one_minus_beta1, beta2, one_minus_beta2, r_kept, r_scale, eps_in,
              eps_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T &m = s[0], &r = s[1], &rmax = s[2];
    m = fma_(k.beta1, m, k.one_minus_beta1 * g);
    r = fma_(k.beta2, r, k.one_minus_beta2 * (g * g));
    rmax = max_(rmax, k.r_kept * r);
    w = fma_(-k.rate, divide(m, sqrt_(fma_(k.r_scale, rmax, k.eps_in)) + k.eps_out), w);
  }
};

}  // namespace steep::STEEP_ISA::rules
