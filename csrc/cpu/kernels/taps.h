// Which taps of a sliding window meet the image, along one axis. No kernel lives here.
#pragma once
#include <numeric>

#include "base/hd.h"
#include "cpu/kernels.h"

namespace steep::STEEP_ISA {

// Taps first, first + step, ... (count of them) at positions source, source + move, ...
struct Taps { long first, step, source, move, count; };

// The input positions under output o: o*stride - before + tap*dilation.
STEEP_HD Taps taps_of_output(const Window& w, int axis, long o) {
  const long d = w.dilation[axis], kernel = w.kernel[axis], in = w.in[axis];
  const long start = o * w.stride[axis] - w.before[axis];
  if (start >= 0 && start + (kernel - 1) * d < in) return {0, 1, start, d, kernel};
  const long first = start < 0 ? (-start + d - 1) / d : 0;
  const long inside = in > start ? (in - start + d - 1) / d : 0;
  const long end = inside < kernel ? inside : kernel;
  return {first, 1, start + first * d, d, end > first ? end - first : 0};
}

// The outputs o that input position p goes to: o*stride = p + before - tap*dilation.
STEEP_HD Taps taps_of_input(const Window& w, int axis, long p) {
  const long stride = w.stride[axis], d = w.dilation[axis], end = w.kernel[axis];
  const long common = std::gcd(stride, d);
  const long step = stride / common, back = d / common;
  const long from = p + w.before[axis];
  const long most = step < end ? step : end;
  long tap = 0;
  while (tap < most && (from - tap * d) % stride) ++tap;
  if (tap == most) return {0, step, 0, -back, 0};
  long o = (from - tap * d) / stride;
  if (o >= w.out[axis]) {
    const long skip = (o - w.out[axis] + back) / back;
    tap += skip * step;
    o -= skip * back;
  }
  if (o < 0 || tap >= end) return {0, step, 0, -back, 0};
  const long taps = (end - tap + step - 1) / step, outputs = o / back + 1;
  return {tap, step, o, -back, taps < outputs ? taps : outputs};
}

}  // namespace steep::STEEP_ISA
