// Products with few outputs: dot products over packed W^T. Wider products are in gemm.cpp.
#include "backend/cpu/kernels/fill.h"

namespace steep::STEEP_ISA {
namespace {

template <class T, int N>
void dots(const T* x, long ldx, const T* wt, const T* bias, T* y, long ldy, long rows,
          long columns) {
  const long width = padded(columns);
  for (long r = 0; r < rows; ++r) {
    T lane[N][kLane] = {};
    for (long c = 0; c < width; c += kLane) {
      const long panel = c / kPanel * kPanel;
      const long ld = width - panel < kPanel ? kLane : kPanel;
      const T* const w = wt + panel * N + (c - panel);
      const T* const in = x + r * ldx + c;
      for (int n = 0; n < N; ++n)
        for (long j = 0; j < kLane; ++j) lane[n][j] = fma_(in[j], w[n * ld + j], lane[n][j]);
    }
    T out[kLane] = {};
    for (int n = 0; n < N; ++n) out[n] = sum_lanes(lane[n]) + (bias ? bias[n] : T(0));
    for (long j = 0; j < kLane; ++j) y[r * ldy + j] = out[j];
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

template <class T> void fill_narrow(Kernels<T>& table) { table.narrow = narrow<T>; }

STEEP_FILL(fill_narrow)

}  // namespace steep::STEEP_ISA
