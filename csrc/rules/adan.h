// Adan (Xie et al. 2022), d the change of the gradient, 0 at first: m = beta1*m + (1-beta1)*g,
//   v = beta2*v + (1-beta2)*d,  r = beta3*r + (1-beta3)*(g + mix*d)^2,
//   w = (w - (rate_m*m + rate_v*v) / (sqrt(r_scale*r + eps_in) + eps_out)) / (1 + decay*proximal),
// where w has lost decay*(1 - proximal) of itself before.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct Adan {
  static constexpr const char* kName = "adan";
  static constexpr std::array kSlots{"m", "v", "r", "previous"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(rate_m, rate_v, mix, known, beta1, one_minus_beta1, beta2, one_minus_beta2, beta3,
              one_minus_beta3, r_scale, eps_in, eps_out, proximal);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k, T decay) {
    T &m = s[0], &v = s[1], &r = s[2], &previous = s[3];
    const T d = k.known * (g - previous), mixed = fma_(k.mix, d, g);
    m = fma_(k.beta1, m, k.one_minus_beta1 * g);
    v = fma_(k.beta2, v, k.one_minus_beta2 * d);
    r = fma_(k.beta3, r, k.one_minus_beta3 * (mixed * mixed));
    previous = g;
    const T root = sqrt_(fma_(k.r_scale, r, k.eps_in)) + k.eps_out, late = decay * k.proximal;
    w = fma_(late - decay, w, w) - divide(fma_(k.rate_m, m, k.rate_v * v), root);
    w = w * (T(1) / (T(1) + late));
  }
};

}  // namespace steep::STEEP_ISA::rules
