// Adamax (Kingma & Ba 2015, section 7.1): m = beta1*m + (1-beta1)*g,
//   u = max(beta2*u, |g| + eps_in), and 0 while every g was 0,
//   w = w - rate*m / (u + eps_out), rate = lr/(1-beta1^t).
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct Adamax {
  static constexpr const char* kName = "adamax";
  static constexpr std::array kSlots{"m", "u"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(rate, beta1, one_minus_beta1, beta2, eps_in, eps_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T &m = s[0], &u = s[1];
    m = fma_(k.beta1, m, k.one_minus_beta1 * g);
    // Of a weight that no gradient has reached, u is not wanted, and padding must stay 0.
    const bool untouched = u == T(0) && g == T(0);
    u = untouched ? T(0) : max_(k.beta2 * u, abs_(g) + k.eps_in);
    w = fma_(-k.rate, divide(m, u + k.eps_out), w);
  }
};

}  // namespace steep::STEEP_ISA::rules
