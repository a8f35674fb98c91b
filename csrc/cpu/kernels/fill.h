// Declares the functions that enter this instruction set's kernels into its table, and what their
// loops share. What each kernel means: kernels.h. No kernel lives here.
#pragma once
#include "base/dual.h"
#include "base/math.h"
#include "cpu/kernels.h"
#include "cpu/work.h"

namespace steep::STEEP_ISA {

template <class T> void fill_activations(Kernels<T>& table);
template <class T> void fill_rows(Kernels<T>& table);
template <class T> void fill_losses(Kernels<T>& table);
template <class T> void fill_updates(Kernels<T>& table);
template <class T> void fill_winograd(Kernels<T>& table);
template <class T> void fill_depthwise(Kernels<T>& table);
template <class T> void fill_vectors(Kernels<T>& table);
// Of one op: see ops/call.h.
template <class A, class T> void call(const Work<T>& w, const Step<T>& s, long lo, long hi);

// Adds the halves of n elements until one is left, in registers.
template <int n, class T>
STEEP_HD T fold(const T* x) {
  if constexpr (n == 1) {
    return x[0];
  } else if constexpr (kDual<T>) {
    T half[n / 2];
    for (int i = 0; i < n / 2; ++i) half[i] = x[i] + x[n / 2 + i];
    return fold<n / 2>(half);
  } else {
    typedef T Half __attribute__((vector_size(n / 2 * sizeof(T))));
    Half low, high;
    __builtin_memcpy(&low, x, sizeof(Half));
    __builtin_memcpy(&high, x + n / 2, sizeof(Half));
    low += high;
    T half[n / 2];
    __builtin_memcpy(half, &low, sizeof(Half));
    return fold<n / 2>(half);
  }
}

// Sums over a row run in kLane explicit lanes, so that no instruction set's width enters the result.
template <class T>
STEEP_HD T sum_lanes(const T* lane) {
  return fold<kLane>(lane);
}

}  // namespace steep::STEEP_ISA

// Every instruction set has the kernels of float and double; those of dual numbers, for what
// derivatives pass through, are portable only.
#define STEEP_DUAL_portable 1
#define STEEP_JOIN2(a, b) a##b
#define STEEP_JOIN(a, b) STEEP_JOIN2(a, b)
#define STEEP_FILL(function)                      \
  template void function<float>(Kernels<float>&); \
  template void function<double>(Kernels<double>&);
#if STEEP_JOIN(STEEP_DUAL_, STEEP_ISA)
#define STEEP_FILL_DUAL(function) \
  STEEP_FILL(function)            \
  template void function<Dual>(Kernels<Dual>&);
#else
#define STEEP_FILL_DUAL(function) STEEP_FILL(function)
#endif
