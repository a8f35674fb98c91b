// Declares the functions that enter this instruction set's kernels into its table, and what their
// loops share. What each kernel means: kernels.h. No kernel lives here.
#pragma once
#include "backend/cpu/kernels.h"
#include "base/math.h"

namespace steep::STEEP_ISA {

template <class T> void fill_activations(Kernels<T>& table);
template <class T> void fill_elementwise(Kernels<T>& table);
template <class T> void fill_rows(Kernels<T>& table);
template <class T> void fill_narrow(Kernels<T>& table);
template <class T> void fill_losses(Kernels<T>& table);
template <class T> void fill_updates(Kernels<T>& table);

// Sums over a row run in kLane explicit lanes, so that no instruction set's width enters the result.
template <class T> STEEP_HD T sum_lanes(T* lane) {
  for (long half = kLane / 2; half > 0; half /= 2)
    for (long j = 0; j < half; ++j) lane[j] += lane[j + half];
  return lane[0];
}

}  // namespace steep::STEEP_ISA

// Every instruction set has the float kernels; double, for checks, is portable only.
#define STEEP_DOUBLE_portable 1
#define STEEP_JOIN2(a, b) a##b
#define STEEP_JOIN(a, b) STEEP_JOIN2(a, b)
#if STEEP_JOIN(STEEP_DOUBLE_, STEEP_ISA)
#define STEEP_FILL(function)                      \
  template void function<float>(Kernels<float>&); \
  template void function<double>(Kernels<double>&);
#else
#define STEEP_FILL(function) template void function<float>(Kernels<float>&);
#endif
