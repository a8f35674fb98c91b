// Signum (Bernstein et al. 2018): m = beta*m + (1-beta)*g,  w = w - lr*sign(m).
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct Signum {
  static constexpr const char* kName = "signum";
  static constexpr std::array kSlots{"m"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(lr, beta, one_minus_beta);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T& m = s[0];
    m = fma_(k.beta, m, k.one_minus_beta * g);
    w = fma_(-k.lr, sign_(m) + (m - m), w);  // the sign of NaN is 0: m - m keeps it
  }
};

}  // namespace steep::STEEP_ISA::rules
