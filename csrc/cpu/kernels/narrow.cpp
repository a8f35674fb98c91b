// Products with few outputs: dot products over packed W^T. Wider products are in gemm.cpp.
#include "cpu/kernels/fill.h"
#include "cpu/simd/vec.h"

namespace steep::STEEP_ISA {
namespace {

template <class T, int N>
void dots(const T* x, long ldx, const T* wt, const T* bias, T* y, long ldy, long rows,
          long columns) {
  using V = Vec<T>;
  constexpr int kParts = kLane / V::width;
  const long width = padded(columns);
  for (long r = 0; r < rows; ++r) {
    typename V::Reg sum[N][kParts];
    for (int n = 0; n < N; ++n)
      for (int p = 0; p < kParts; ++p) sum[n][p] = V::zero();
    for (long c = 0; c < width; c += kLane) {
      const long panel = c / kPanel * kPanel;
      const long ld = width - panel < kPanel ? kLane : kPanel;
      const T* const w = wt + panel * N + (c - panel);
      for (int p = 0; p < kParts; ++p) {
        const auto in = V::load(x + r * ldx + c + p * V::width);
        for (int n = 0; n < N; ++n)
          sum[n][p] = V::fma(in, V::load(w + n * ld + p * V::width), sum[n][p]);
      }
    }
    T* const out = y + r * ldy;
    for (int p = 0; p < kParts; ++p) V::store(out + p * V::width, V::zero());
    for (int n = 0; n < N; ++n) {
      alignas(64) T lane[kLane];
      for (int p = 0; p < kParts; ++p) V::store(lane + p * V::width, sum[n][p]);
      out[n] = sum_lanes(lane) + (bias ? bias[n] : T(0));
    }
  }
}

template <class T>
void narrow(const T* x, long ldx, const T* wt, const T* bias, T* y, long ldy, long rows,
            long columns, long outputs) {
  const auto of = outputs == 1   ? dots<T, 1>
                  : outputs == 2 ? dots<T, 2>
                  : outputs == 3 ? dots<T, 3>
                                 : dots<T, 4>;
  of(x, ldx, wt, bias, y, ldy, rows, columns);
}

}  // namespace

template <class T>
void fill_narrow(Kernels<T>& table) {
  table.narrow = narrow<T>;
}

STEEP_FILL(fill_narrow)

}  // namespace steep::STEEP_ISA
