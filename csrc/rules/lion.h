// Lion (Chen et al. 2023): c = beta1*m + (1-beta1)*g,
//   w = w - lr*sign(c),  m = beta2*m + (1-beta2)*g.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct Lion {
  static constexpr const char* kName = "lion";
  static constexpr std::array kSlots{"m"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(lr, beta1, one_minus_beta1, beta2, one_minus_beta2);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T& m = s[0];
    const T c = fma_(k.beta1, m, k.one_minus_beta1 * g);
    w = fma_(-k.lr, sign_(c) + (c - c), w);  // the sign of NaN is 0: c - c keeps it
    m = fma_(k.beta2, m, k.one_minus_beta2 * g);
  }
};

}  // namespace steep::STEEP_ISA::rules
