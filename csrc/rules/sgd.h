// SGD: w = w - lr*g.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct SGD {
  static constexpr const char* kName = "sgd";
  static constexpr std::array<const char*, 0> kSlots{};
  static constexpr bool kLookAhead = false;
  static constexpr bool kStill = true;
  STEEP_KNOBS(lr);

  template <class T>
  STEEP_HD static void step(T& w, T g, T*, const Knobs<T>& k) {
    w = fma_(-k.lr, g, w);
  }
};

}  // namespace steep::STEEP_ISA::rules
