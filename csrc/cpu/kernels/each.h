// The loop of every elementwise kernel: y(r, c) (+)= value(r, c) over rows that may be padded.
// Values live with their kernels.
#pragma once
#include "base/hd.h"

namespace steep::STEEP_ISA {

// A value may read y(r, c) itself, so y may be one of the operands, but no other element of y.
template <class T, class Value>
STEEP_HD void each(T* y, long ldy, long rows, long width, bool accumulate, Value value) {
  for (long r = 0; r < rows; ++r) {
    T* const row = y + r * ldy;
    if (accumulate) {
#pragma GCC ivdep
      for (long c = 0; c < width; ++c) row[c] += value(r, c);
    } else {
#pragma GCC ivdep
      for (long c = 0; c < width; ++c) row[c] = value(r, c);
    }
  }
}

}  // namespace steep::STEEP_ISA
