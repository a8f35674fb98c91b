// FTRL-proximal (McMahan et al. 2013) with the power of their paper, 1/2: roots in the place of powers.
#pragma once
#include "base/math.h"
#include "rules/ftrl.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct FTRLRoot {
  static constexpr const char* kName = "ftrl_root";
  static constexpr std::array kSlots{"r", "z"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(per_lr, l1, l2, shrinkage, first_r, toward);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    ftrl_step(w, g, s, k, [](T r, T square, T& old, T& grown) {
      old = sqrt_(r);
      grown = divide(square, old + sqrt_(r + square));  // sqrt(n) - sqrt(r), which cancels
    });
  }
};

}  // namespace steep::STEEP_ISA::rules
