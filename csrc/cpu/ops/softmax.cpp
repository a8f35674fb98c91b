// Softmax over the last axis and its derivative. Cross entropy, which fuses it, is in
// ../kernels/loss.cpp.
#include "ops/softmax.h"

#include "cpu/kernels/positions.h"
#include "cpu/kernels/row.h"
#include "cpu/ops/call.h"

namespace steep::STEEP_ISA {
namespace {

// out = e^(in - top) of one block of a row, whose first n numbers count; adds them to the lanes.
template <class T>
STEEP_HD void exp_block(const T* in, T top, long n, T* out, T* lane) {
#pragma GCC ivdep
  for (long j = 0; j < kLane; ++j) {
    const T e = exp_down(in[j] - top);
    out[j] = j < n ? e : T(0);
    lane[j] += out[j];
  }
}

// Of one row. Where rows are dense, what follows is another one: it is not written.
template <class T>
STEEP_HD void softmax(const T* in, T* out, long columns, bool dense) {
  const T top = row_max(in, columns);
  const long whole = dense ? columns / kLane * kLane : padded(columns), left = columns - whole;
  T lane[kLane] = {};
  for (long c = 0; c < whole; c += kLane) exp_block(in + c, top, columns - c, out + c, lane);
  if (left > 0) {
    T block[kLane] = {};
    __builtin_memcpy(block, in + whole, left * sizeof(T));
    exp_block(block, top, left, block, lane);
    __builtin_memcpy(out + whole, block, left * sizeof(T));
  }
  const T scale = T(1) / sum_lanes(lane);
  const long width = dense ? columns : whole;
  for (long c = 0; c < width; ++c) out[c] *= scale;
}

// The same numbers for kLane positions side by side.
template <class T>
STEEP_HD void softmax(Aside<T>& x, long columns) {
  T top[kLane], scale[kLane], sum[kLane][kLane] = {};
  for (long j = 0; j < kLane; ++j) top[j] = -T(__builtin_huge_val());
  for (long c = 0; c < columns; ++c)
    for (long j = 0; j < kLane; ++j) top[j] = max_(x.at[c][j], top[j]);
  for (long c = 0; c < columns; ++c)
    for (long j = 0; j < kLane; ++j) sum[c][j] = x.at[c][j] = exp_down(x.at[c][j] - top[j]);
  fold_rows(sum);
  for (long j = 0; j < kLane; ++j) scale[j] = T(1) / sum[0][j];
  for (long c = 0; c < columns; ++c)
    for (long j = 0; j < kLane; ++j) x.at[c][j] *= scale[j];
}

template <class T>
STEEP_HD void softmax_grad(const T* up, const T* out, T* down, long columns, long width,
                           bool accumulate) {
  T lane[kLane] = {};
  for (long c = 0; c < columns; c += kLane)
    for (long j = 0; j < kLane; ++j)
      lane[j] = c + j < columns ? fma_(up[c + j], out[c + j], lane[j]) : lane[j];
  const T dot = sum_lanes(lane);
#pragma GCC ivdep
  for (long c = 0; c < width; ++c) {
    const T value = c < columns ? out[c] * (up[c] - dot) : T(0);
    down[c] = accumulate ? down[c] + value : value;
  }
}

template <class T>
STEEP_HD void softmax_grad(Aside<T>& up, const Aside<T>& out, long columns) {
  T dot[kLane][kLane] = {};
  for (long c = 0; c < columns; ++c)
    for (long j = 0; j < kLane; ++j) dot[c][j] = fma_(up.at[c][j], out.at[c][j], T(0));
  fold_rows(dot);
  for (long c = 0; c < columns; ++c)
    for (long j = 0; j < kLane; ++j) up.at[c][j] = out.at[c][j] * (up.at[c][j] - dot[0][j]);
}

}  // namespace

template <class T>
void run(const ops::Softmax& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const long size = w.out.columns, columns = size / op.positions;
  for (long r = lo; r < hi; ++r) {
    const T* const in = w.in[0].at(r);
    T* const out = w.out.at(r);
    if (op.positions == 1 || columns > kLane) {
      for (long at = 0; at < size; at += columns)
        softmax(in + at, out + at, columns, op.positions > 1);
      continue;
    }
    over_positions(op.positions, [&](long p, long n) {
      Aside<T> x;
      x.load(in + p * columns, n, columns);
      softmax(x, columns);
      x.store(out + p * columns, n, columns);
    });
  }
  clear_padding(w.out, lo, hi);  // of a sum that is not finite
}
STEEP_CALL(Softmax)

template <class T>
void run(const ops::SoftmaxGrad& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const long size = w.out.columns, columns = size / op.positions;
  for (long r = lo; r < hi; ++r) {
    const T *const up = w.in[0].at(r), *const out = w.in[1].at(r);
    T* const down = w.out.at(r);
    if (op.positions == 1 || columns > kLane) {
      const long width = op.positions == 1 ? w.out.width() : columns;
      for (long at = 0; at < size; at += columns)
        softmax_grad(up + at, out + at, down + at, columns, width, w.accumulate);
      continue;
    }
    over_positions(op.positions, [&](long p, long n) {
      const long at = p * columns;
      Aside<T> dy, y;
      dy.load(up + at, n, columns);
      y.load(out + at, n, columns);
      softmax_grad(dy, y, columns);
      w.accumulate ? dy.add(down + at, n, columns) : dy.store(down + at, n, columns);
    });
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(SoftmaxGrad)

}  // namespace steep::STEEP_ISA
