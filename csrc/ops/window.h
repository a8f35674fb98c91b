// The window of convolutions and pools, worked out from what a network says of it.
#pragma once
#include "base/window.h"
#include "ops/op.h"

namespace steep::ops {

// How a window of `size` slides over an image.
struct Sliding {
  Pair size = {1, 1}, stride = {1, 1};
  Padding padding = {};
  Pair dilation = {1, 1};
};

// Over an image (height, width, channels). Refuses what does not fit; `what` names the op.
Window window_of(const Given& given, const char* what, const Shape& image, const Sliding& sliding);

inline Shape image_shape(const Window& w, long channels) { return {w.out[0], w.out[1], channels}; }

}  // namespace steep::ops
