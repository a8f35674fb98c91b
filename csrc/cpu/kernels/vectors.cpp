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

// Columns c .. c + count of V::width rows, each as a vector.
template <class T> struct Across {
  using V = Vec<T>;
  using Reg = typename V::Reg;

  STEEP_HD static Reg one(const T* x, long ld) {
    T lane[V::width];
    for (T& number : lane) {
      number = *x;
      x += ld;
    }
    return V::load(lane);
  }
  STEEP_HD static void four(const T* x, long ld, Reg (&w)[4]) {
    if constexpr (V::width < 4) {
      for (int i = 0; i < 4; ++i) w[i] = one(x + i, ld);
    } else {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) w[i] = V::load_lanes(x + i * ld, ld);
      V::transpose4(w);
    }
  }
};

constexpr long kTogether = 64;  // numbers of a part, as in rows.cpp

// The sums of kBlocks parts side by side, each added to the total when it is done.
template <class T, int kBlocks>
STEEP_HD void sum_parts(const T* x, long ld, long count, typename Vec<T>::Reg& total) {
  using V = Vec<T>;
  typename V::Reg part[kBlocks], w[4];
  for (int b = 0; b < kBlocks; ++b) part[b] = V::zero();
  long c = 0;
  for (; c + 4 <= count; c += 4)
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b) {
      Across<T>::four(x + b * kTogether + c, ld, w);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) part[b] = part[b] + w[i];
    }
  if constexpr (kBlocks == 1)  // several are whole
    for (; c < count; ++c) part[0] = part[0] + Across<T>::one(x + c, ld);
  for (int b = 0; b < kBlocks; ++b) total = total + part[b];
}

template <class T>
void row_sum(const T* x, long ldx, long rows, long columns, T* out, bool accumulate) {
  using V = Vec<T>;
  for (long r = 0; r < rows; r += V::width) {
    const T* const from = x + r * ldx;
    auto total = V::zero();
    long c = 0;
    for (; c + 4 * kTogether <= columns; c += 4 * kTogether)
      sum_parts<T, 4>(from + c, ldx, kTogether, total);
    for (; c < columns; c += kTogether)
      sum_parts<T, 1>(from + c, ldx, columns - c < kTogether ? columns - c : kTogether, total);
    V::store(out + r, accumulate ? V::load(out + r) + total : total);
  }
}

template <class T, int N>
void narrow_rows(const T* dz, long lddz, const T* x, long ldx, long width, long samples, T* c,
                 long ldc, bool accumulate) {
  using V = Vec<T>;
  constexpr int kParts = kLane / V::width;
  for (long r = 0; r < width; r += kLane) {
    typename V::Reg sum[N][kParts], w[4];
    for (int n = 0; n < N; ++n)
      for (int p = 0; p < kParts; ++p)
        sum[n][p] = accumulate ? V::load(c + n * ldc + r + p * V::width) : V::zero();
    long s = 0;
    for (; s + 4 <= samples; s += 4)
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) {
        Across<T>::four(x + (r + p * V::width) * ldx + s, ldx, w);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i)
#pragma GCC unroll 4
          for (int n = 0; n < N; ++n)
            sum[n][p] = V::fma(V::set1(dz[n * lddz + s + i]), w[i], sum[n][p]);
      }
    for (; s < samples; ++s)
      for (int p = 0; p < kParts; ++p) {
        const auto one = Across<T>::one(x + (r + p * V::width) * ldx + s, ldx);
        for (int n = 0; n < N; ++n) sum[n][p] = V::fma(V::set1(dz[n * lddz + s]), one, sum[n][p]);
      }
    for (int n = 0; n < N; ++n)
      for (int p = 0; p < kParts; ++p) V::store(c + n * ldc + r + p * V::width, sum[n][p]);
  }
}

template <class T>
void narrow_gradient(const T* dz, long lddz, long outputs, const T* x, long ldx, long width,
                     long samples, T* c, long ldc, bool accumulate) {
  const auto of = outputs == 1   ? narrow_rows<T, 1>
                  : outputs == 2 ? narrow_rows<T, 2>
                  : outputs == 3 ? narrow_rows<T, 3>
                                 : narrow_rows<T, 4>;
  of(dz, lddz, x, ldx, width, samples, c, ldc, accumulate);
}

}  // namespace

template <class T> void fill_vectors(Kernels<T>& table) {
  table.dot = dot<T>;
  table.add_dot = add_dot<T>;
  table.narrow_columns = narrow_columns<T>;
  table.narrow_gradient = narrow_gradient<T>;
  table.row_sum = row_sum<T>;
}

STEEP_FILL(fill_vectors)

}  // namespace steep::STEEP_ISA
