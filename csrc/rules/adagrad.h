// AdaGrad (Duchi et al. 2011): r = r + g^2,  w = w - lr*g / (sqrt(r + eps_in) + eps_out).
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct AdaGrad {
  static constexpr const char* kName = "adagrad";
  static constexpr std::array kSlots{"r"};
  static constexpr bool kLookAhead = false;
  static constexpr bool kStill = true;
  STEEP_KNOBS(lr, eps_in, eps_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T& r = s[0];
    r = fma_(g, g, r);
    w = fma_(-k.lr, divide(g, sqrt_(r + k.eps_in) + k.eps_out), w);
  }
};

}  // namespace steep::STEEP_ISA::rules
