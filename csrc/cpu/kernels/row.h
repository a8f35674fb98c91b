// Reductions over the true columns of one padded row, shared by softmax and cross entropy.
#pragma once
#include "base/math.h"
#include "cpu/kernels.h"

namespace steep::STEEP_ISA {

// NaN is passed over: it shows in the sum of exponentials.
template <class T>
STEEP_HD T row_max(const T* x, long columns) {
  T lane[kLane];
  for (long j = 0; j < kLane; ++j) lane[j] = -T(__builtin_huge_val());
  for (long c = 0; c < columns; c += kLane)
    for (long j = 0; j < kLane; ++j) lane[j] = c + j < columns ? max_(x[c + j], lane[j]) : lane[j];
  for (long half = kLane / 2; half > 0; half /= 2)
    for (long j = 0; j < half; ++j) lane[j] = max_(lane[j + half], lane[j]);
  return lane[0];
}

// First column that holds `value`, or `columns`.
template <class T>
STEEP_HD long first_equal(const T* x, long columns, T value) {
  int32_t first = int32_t(columns);
  for (int32_t c = 0; c < int32_t(columns); ++c) first = min_(first, x[c] == value ? c : first);
  return first;
}

template <class T>
STEEP_HD bool any_nan(const T* x, long columns) {
  int32_t found = 0;
  for (long c = 0; c < columns; ++c) found |= x[c] != x[c];
  return found != 0;
}

}  // namespace steep::STEEP_ISA
