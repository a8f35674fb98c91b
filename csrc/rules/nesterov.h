// Nesterov momentum (Sutskever et al. 2013), the gradient taken at the point w + look*v:
//   v = mu*v - rate_in*g(point),  w = w + rate_out*v,  point = w + look_next*v.
#pragma once
#include <array>

#include "rules/look_ahead.h"

namespace steep::STEEP_ISA::rules {

struct Nesterov {
  static constexpr const char* kName = "nesterov";
  static constexpr std::array kSlots{"v", "w"};
  static constexpr std::array kKnobs{"look", "look_next", "mu", "rate_in", "rate_out"};
  static constexpr bool kLookAhead = true;

  template <class T>
  struct Knobs {
    T look, look_next, mu, rate_in, rate_out;
  };

  template <class T>
  STEEP_HD static void step(T& point, T g, T* s, const Knobs<T>& k) {
    T &v = s[0], &w = s[1];
    v = fma_(k.mu, v, -(k.rate_in * g));
    w = fma_(k.rate_out, v, w);
    point = look_ahead_point(w, v, k.look_next);
  }
};

}  // namespace steep::STEEP_ISA::rules
