// Where the taps of a sliding window lie, seen from either side. No kernel lives here.
#pragma once
#include "cuda/kernels/images.h"
#include "cuda/kernels/kernel.cuh"

namespace steep::cuda {

// A pixel of an image, or of the result.
struct Pixel {
  int y, x;
  STEEP_HD Pixel(int p, long width)
      : y(p / static_cast<int>(width)), x(p % static_cast<int>(width)) {}
};

// Along one axis: the place that tap `tap` of result o looks at; -1 where that is outside.
STEEP_HD int seen(const Window& w, int axis, int o, int tap) {
  const int at = o * static_cast<int>(w.stride[axis]) - static_cast<int>(w.before[axis]) +
                 tap * static_cast<int>(w.dilation[axis]);
  return at >= 0 && at < static_cast<int>(w.in[axis]) ? at : -1;
}
// The result whose tap looks at place p; -1 where there is none.
STEEP_HD int looking(const Window& w, int axis, int p, int tap) {
  const int stride = static_cast<int>(w.stride[axis]);
  const int at = p + static_cast<int>(w.before[axis]) - tap * static_cast<int>(w.dilation[axis]);
  const int o = at / stride;
  return at >= 0 && at == o * stride && o < static_cast<int>(w.out[axis]) ? o : -1;
}
STEEP_HD int in_image(const Window& w, int y, int x) { return y * static_cast<int>(w.in[1]) + x; }
STEEP_HD int in_result(const Window& w, int y, int x) { return y * static_cast<int>(w.out[1]) + x; }

}  // namespace steep::cuda
