// Softmax over the columns of each row and its derivative. Cross entropy, which fuses it, is in
// ../kernels/loss.cpp.
#include "ops/softmax.h"

#include "cpu/kernels/row.h"
#include "cpu/ops/call.h"

namespace steep::STEEP_ISA {

template <class T>
void run(const ops::Softmax&, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const long columns = w.out.columns, width = w.out.width();
  for (long r = lo; r < hi; ++r) {
    const T* const in = w.in[0].at(r);
    T* const out = w.out.at(r);
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
  clear_padding(w.out, lo, hi);  // of a sum that is not finite
}
STEEP_CALL(Softmax)

template <class T>
void run(const ops::SoftmaxGrad&, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const long columns = w.out.columns, width = w.out.width();
  const bool accumulate = w.accumulate;
  for (long r = lo; r < hi; ++r) {
    const T *const up = w.in[0].at(r), *const out = w.in[1].at(r);
    T lane[kLane] = {};
    for (long c = 0; c < width; c += kLane)
      for (long j = 0; j < kLane; ++j)
        lane[j] = c + j < columns ? fma_(up[c + j], out[c + j], lane[j]) : lane[j];
    const T dot = sum_lanes(lane);
    T* const down = w.out.at(r);
#pragma GCC ivdep
    for (long c = 0; c < width; ++c) {
      const T value = c < columns ? out[c] * (up[c] - dot) : T(0);
      down[c] = accumulate ? down[c] + value : value;
    }
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(SoftmaxGrad)

}  // namespace steep::STEEP_ISA
