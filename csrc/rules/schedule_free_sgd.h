// Schedule-free SGD (Defazio et al. 2024), v = z - x: the gradient is taken at y = w + look*v,
//   e = v - lr*g - decay*y,  w = w + share*e,  v = (1-share)*e;  w is x, the average of all z.
// The sweep keeps y in place of w, and finds w with look, the look_next of the step before.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"
#include "rules/look_ahead.h"

namespace steep::STEEP_ISA::rules {

struct ScheduleFreeSGD {
  static constexpr const char* kName = "schedule_free_sgd";
  static constexpr std::array kSlots{"v"};
  static constexpr bool kLookAhead = true;
  STEEP_KNOBS(look, look_next, lr, share, one_minus_share);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k, T decay) {
    T& v = s[0];
    const T e = fma_(-decay, look_ahead_point(w, v, k.look), fma_(-k.lr, g, v));
    w = fma_(k.share, e, w);
    v = k.one_minus_share * e;
  }
};

}  // namespace steep::STEEP_ISA::rules
