// Positions of few numbers, kLane of them side by side, so that one of three logits does not pay for
// sixteen. No kernel lives here.
#pragma once
#include "base/hd.h"
#include "base/panels.h"

namespace steep::STEEP_ISA {

// Calls f(first, count) for up to kLane positions at a time.
template <class F> STEEP_HD void over_positions(long positions, F f) {
  for (long p = 0; p < positions; p += kLane) f(p, positions - p < kLane ? positions - p : kLane);
}

// At most kLane columns of kLane positions: at[c] is column c of all of them.
template <class T> struct Aside {
  T at[kLane][kLane];

  // Of `count` positions that lie `columns` apart; lanes past the last repeat it.
  STEEP_HD void load(const T* from, long count, long columns) {
    for (long j = 0; j < kLane; ++j) {
      const T* const position = from + (j < count ? j : count - 1) * columns;
      for (long c = 0; c < columns; ++c) at[c][j] = position[c];
    }
  }
  STEEP_HD void store(T* to, long count, long columns) const {
    for (long j = 0; j < count; ++j)
      for (long c = 0; c < columns; ++c) to[j * columns + c] = at[c][j];
  }
  STEEP_HD void add(T* to, long count, long columns) const {
    for (long j = 0; j < count; ++j)
      for (long c = 0; c < columns; ++c) to[j * columns + c] += at[c][j];
  }
};

// Adds up the columns into the first as sum_lanes does those of a row.
template <class T> STEEP_HD void fold_rows(T (&x)[kLane][kLane]) {
  for (long half = kLane / 2; half > 0; half /= 2)
    for (long c = 0; c < half; ++c)
      for (long j = 0; j < kLane; ++j) x[c][j] += x[half + c][j];
}

}  // namespace steep::STEEP_ISA
