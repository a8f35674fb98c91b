// The way from the weights to the point at which look-ahead rules take the gradient, and back. One
// expression each for the sweep of the rules and for both ends of a run, so that a run cut in slices
// gives the same bits. No rule lives here.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::rules {

template <class T>
STEEP_HD T look_ahead_point(T w, T v, T look) {
  return fma_(look, v, w);
}

template <class T>
STEEP_HD T look_back_weight(T point, T v, T look) {
  return fma_(-look, v, point);
}

// The weight that look_ahead_point takes to the very bits of this point, which it came from once.
// Looking back finds it, or, seldom, in a tie at a power of two, the number beside it.
template <class T>
STEEP_HD T weight_of_point(T point, T v, T look) {
  const T w = look_back_weight(point, v, look);
  const T above = __builtin_bit_cast(T, bits_(w) + 1), below = __builtin_bit_cast(T, bits_(w) - 1);
  const T other = look_ahead_point(above, v, look) == point   ? above
                  : look_ahead_point(below, v, look) == point ? below
                                                              : w;
  return look_ahead_point(w, v, look) == point ? w : other;
}

}  // namespace steep::STEEP_ISA::rules
