// Sums over whole vectors for methods for full batches, and slim products whose samples lie side by side. The
// methods are in minimize/, wider products are gemm.cpp's.
#include "cpu/kernels/fill.h"
#include "cpu/simd/vec.h"

namespace steep::STEEP_ISA {
namespace {

constexpr long kParts = 8;  // sums side by side

STEEP_HD double total(const double (&part)[kParts]) {
  return ((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7]));
}

template <class T> double dot(const T* a, const double* b, long n) {
  double part[kParts] = {};
  long i = 0;
  for (; i + kParts <= n; i += kParts)
    for (long k = 0; k < kParts; ++k) part[k] += double(a[i + k]) * b[i + k];
  for (; i < n; ++i) part[0] += double(a[i]) * b[i];
  return total(part);
}

template <class T>
double add_dot(double factor, const T* x, double* __restrict y, const T* next, long n) {
  if (next == nullptr) {
    for (long i = 0; i < n; ++i) y[i] += factor * double(x[i]);
    return 0;
  }
  double part[kParts] = {};
  long i = 0;
  for (; i + kParts <= n; i += kParts)
    for (long k = 0; k < kParts; ++k) {
      const double sum = y[i + k] + factor * double(x[i + k]);
      y[i + k] = sum;
      part[k] += double(next[i + k]) * sum;
    }
  for (; i < n; ++i) {
    y[i] += factor * double(x[i]);
    part[0] += double(next[i]) * y[i];
  }
  return total(part);
}

template <class T>
void narrow_columns(const T* x, long ldx, const T* wt, const T* bias, T* y, long ldy, long columns,
                    long outputs, long width) {
  using V = Vec<T>;
  for (long r = 0; r < width; r += V::width) {
    for (long n = 0; n < outputs; ++n) {
      typename V::Reg sum[kLane];
#pragma GCC unroll 16
      for (long j = 0; j < kLane; ++j) sum[j] = V::zero();
      for (long c = 0; c < columns; c += kLane) {
        const long panel = c / kPanel * kPanel;
        const long ld = padded(columns) - panel < kPanel ? kLane : kPanel;
        const T* const w = wt + panel * outputs + (c - panel) + n * ld;
#pragma GCC unroll 16
        for (long j = 0; j < kLane; ++j)
          sum[j] = V::fma(V::load(x + (c + j) * ldx + r), V::set1(w[j]), sum[j]);
      }
#pragma GCC unroll 4
      for (long half = kLane / 2; half > 0; half /= 2)
#pragma GCC unroll 8
        for (long j = 0; j < half; ++j) sum[j] = sum[j] + sum[half + j];
      V::store(y + n * ldy + r, sum[0] + V::set1(bias ? bias[n] : T(0)));
    }
  }
}

}  // namespace

template <class T> void fill_vectors(Kernels<T>& table) {
  table.dot = dot<T>;
  table.add_dot = add_dot<T>;
  table.narrow_columns = narrow_columns<T>;
}

STEEP_FILL(fill_vectors)

}  // namespace steep::STEEP_ISA
