// Softmax over the columns of each row and its derivative. Cross entropy, which fuses it, is in
// loss.cpp.
#include "cpu/kernels/fill.h"
#include "cpu/kernels/row.h"

namespace steep::STEEP_ISA {
namespace {

template <class T>
void softmax(const T* x, long ldx, T* y, long ldy, long rows, long columns) {
  const long width = padded(columns);
  for (long r = 0; r < rows; ++r) {
    const T* const in = x + r * ldx;
    T* const out = y + r * ldy;
    const T top = row_max(in, columns);
    T lane[kLane] = {};
    for (long c = 0; c < width; c += kLane) {
#pragma GCC ivdep
      for (long j = 0; j < kLane; ++j) {
        const T e = exp_(in[c + j] - top);
        out[c + j] = c + j < columns ? e : T(0);
        lane[j] += out[c + j];
      }
    }
    const T scale = T(1) / sum_lanes(lane);
    for (long c = 0; c < width; ++c) out[c] *= scale;
  }
}

template <class T>
void softmax_grad(const T* dy, long lddy, const T* y, long ldy, T* dx, long lddx, long rows,
                  long columns, bool accumulate) {
  const long width = padded(columns);
  for (long r = 0; r < rows; ++r) {
    const T *const up = dy + r * lddy, *const out = y + r * ldy;
    T lane[kLane] = {};
    for (long c = 0; c < width; c += kLane)
      for (long j = 0; j < kLane; ++j)
        lane[j] = c + j < columns ? fma_(up[c + j], out[c + j], lane[j]) : lane[j];
    const T dot = sum_lanes(lane);
    T* const down = dx + r * lddx;
#pragma GCC ivdep
    for (long c = 0; c < width; ++c) {
      const T value = c < columns ? out[c] * (up[c] - dot) : T(0);
      down[c] = accumulate ? down[c] + value : value;
    }
  }
}

}  // namespace

template <class T>
void fill_rows(Kernels<T>& table) {
  table.softmax = softmax<T>;
  table.softmax_grad = softmax_grad<T>;
}

STEEP_FILL(fill_rows)

}  // namespace steep::STEEP_ISA
