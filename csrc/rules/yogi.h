// Yogi (Zaheer et al. 2018): m = beta1*m + (1-beta1)*g,  r = r - (1-beta2)*sign(r - g^2)*g^2,
//   w = w - rate*m / (sqrt(r_scale*r + eps_in) + eps_out);  first_m and first_r before any gradient.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct Yogi {
  static constexpr const char* kName = "yogi";
  static constexpr std::array kSlots{"m", "r"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(rate, beta1, one_minus_beta1, one_minus_beta2, r_scale, first_m, first_r, eps_in,
              eps_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T &m = s[0], &r = s[1];
    // r never falls to 0: there no gradient has been, and padding must stay 0.
    const bool fresh = r == T(0), untouched = fresh && g == T(0);
    const T square = g * g, before = fresh ? k.first_r : r;
    const T after = fma_(-k.one_minus_beta2 * sign_(before - square), square, before);
    m = fma_(k.beta1, fresh && m == T(0) ? k.first_m : m, k.one_minus_beta1 * g);
    m = untouched ? T(0) : m;
    r = untouched ? T(0) : after;
    w = fma_(-k.rate, divide(m, sqrt_(fma_(k.r_scale, r, k.eps_in)) + k.eps_out), w);
  }
};

}  // namespace steep::STEEP_ISA::rules
