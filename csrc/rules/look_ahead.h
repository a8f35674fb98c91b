// The point at which look-ahead rules take the gradient. One expression for the rules and for the
// start of a run, so that a run cut in slices gives the same bits. No rule lives here.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::rules {

template <class T>
STEEP_HD T look_ahead_point(T w, T v, T look) {
  return fma_(look, v, w);
}

}  // namespace steep::STEEP_ISA::rules
