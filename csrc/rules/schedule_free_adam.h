// Schedule-free AdamW (Defazio et al. 2024), v = z - x: the gradient is taken at y = w + look*v,
//   r = beta2*r + (1-beta2)*g^2,  e = v - lr*g / (sqrt(r_scale*r + eps_in) + eps_out) - decay*y,
//   w = w + share*e,  v = (1-share)*e;  w is x, the average of all z.
// The sweep keeps y in place of w, and finds w with look, the look_next of the step before.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"
#include "rules/look_ahead.h"

namespace steep::STEEP_ISA::rules {

struct ScheduleFreeAdam {
  static constexpr const char* kName = "schedule_free_adam";
  static constexpr std::array kSlots{"r", "v"};
  static constexpr bool kLookAhead = true;
  STEEP_KNOBS(look, look_next, lr, beta2, one_minus_beta2, share, one_minus_share, r_scale, eps_in,
              eps_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k, T decay) {
    T &r = s[0], &v = s[1];
    r = fma_(k.beta2, r, k.one_minus_beta2 * (g * g));
    const T root = sqrt_(fma_(k.r_scale, r, k.eps_in)) + k.eps_out;
    const T e = fma_(-decay, look_ahead_point(w, v, k.look), fma_(-k.lr, divide(g, root), v));
    w = fma_(k.share, e, w);
    v = k.one_minus_share * e;
  }
};

}  // namespace steep::STEEP_ISA::rules
