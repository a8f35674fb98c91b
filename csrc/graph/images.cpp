// The shape rules of ops on images, and the messages for what does not fit.
#include <algorithm>

#include "base/error.h"
#include "graph/graph.h"

namespace steep {

bool crosses_samples(Kind kind) {
  switch (kind) {
    case Kind::ConvPack:
    case Kind::ConvGradWeight:
    case Kind::BatchStatistics:
    case Kind::FrozenStatistics:
    case Kind::BatchNormGradients: return true;
    default: return false;
  }
}

namespace {

Shape image_shape(const Window& w, long channels) { return {w.out[0], w.out[1], channels}; }

}  // namespace

const Tensor& Graph::image(int x, const char* what) const {
  const Tensor& t = tensor(x);
  if (t.shape.size() != 3) {
    refuse(where(), what, " expects an image (height, width, channels), got ", text_of(t.shape));
  }
  return t;
}

Window Graph::window(int x, const char* what, Pair kernel, Pair stride, const Padding& padding,
                     Pair dilation) const {
  const Shape& shape = image(x, what).shape;
  Window w{};
  w.channels = shape[2];
  for (int axis = 0; axis < 2; ++axis) {
    const long before = padding[2 * axis], after = padding[2 * axis + 1];
    if (kernel[axis] < 1 || stride[axis] < 1 || dilation[axis] < 1) {
      refuse(where(), what, " expects sizes, strides and dilations of at least 1, got ",
             kernel[axis], ", ", stride[axis], " and ", dilation[axis]);
    }
    for (const long n : {kernel[axis], stride[axis], dilation[axis], before, after}) {
      check_axis(n, "sizes, strides, dilations and padding");
    }
    const long reach = (kernel[axis] - 1) * dilation[axis] + 1;
    if (before < 0 || after < 0) {
      refuse(where(), what, " expects padding of at least 0, got ", before, " and ", after);
    }
    const long room = shape[axis] + before + after - reach;
    if (room < 0) {
      refuse(where(), what, ": a window of ", reach, " does not fit into ", shape[axis],
             axis == 0 ? " rows" : " columns", " with padding ", before, " and ", after);
    }
    w.in[axis] = shape[axis];
    w.out[axis] = room / stride[axis] + 1;
    w.kernel[axis] = kernel[axis];
    w.stride[axis] = stride[axis];
    w.dilation[axis] = dilation[axis];
    w.before[axis] = before;
  }
  return w;
}

// Frames of zeros around an image, and around the gradient that flows back, must be countable.
void Graph::check_frame(const Window& w, long filters, const Padding& padding) const {
  const auto span = [&](int axis) {
    return 2.0 * static_cast<double>(w.in[axis] + padding[2 * axis] + padding[2 * axis + 1]);
  };
  const double most = span(0) * span(1) * static_cast<double>(std::max(w.channels, filters));
  if (most <= static_cast<double>(kMostElements)) return;
  refuse(where(), "an image of ", w.in[0], " by ", w.in[1], " with padding (", padding[0], ", ",
         padding[1], ", ", padding[2], ", ", padding[3], ") and ", std::max(w.channels, filters),
         " channels or filters is too large: at most 2^38 elements in all");
}

int Graph::conv2d(int x, int weight, int bias, Pair stride, const Padding& padding, Pair dilation,
                  long groups) {
  const Shape shape = image(x, "a convolution").shape;
  const Shape& w = parameter_of(weight).shape;
  if (w.size() != 4) {
    refuse(where(), "a convolution expects weights (height, width, in/groups, out), got ",
           text_of(w));
  }
  if (groups < 1 || shape[2] % groups != 0 || w[3] % groups != 0) {
    refuse(where(), "groups must divide the ", shape[2], " channels of the input and the ", w[3],
           " of the output, got ", groups);
  }
  if (w[2] * groups != shape[2]) {
    refuse(where(), "input of ", shape[2], " channels in ", groups,
           " groups does not fit weights of shape ", text_of(w));
  }
  if (bias >= 0 && parameter_of(bias).shape != Shape{w[3]}) {
    refuse(where(), "bias must have shape (", w[3], ",), got ", text_of(parameter_of(bias).shape));
  }
  const Window win = window(x, "a convolution", {w[0], w[1]}, stride, padding, dilation);
  check_frame(win, w[3], padding);
  return add_op({.kind = Kind::Conv,
                 .in = {x},
                 .weight = weight,
                 .bias = bias,
                 .window = win,
                 .groups = groups},
                image_shape(win, w[3]));
}

int Graph::pool(Kind kind, int x, Pair size, Pair stride, const Padding& padding,
                bool count_padding) {
  const Window w = window(x, "a pool", size, stride, padding, {1, 1});
  for (int axis = 0; axis < 2; ++axis) {
    if (std::max(padding[2 * axis], padding[2 * axis + 1]) >= size[axis]) {
      refuse(where(), "a pool expects padding below its size ", size[axis], ", got ",
             padding[2 * axis], " and ", padding[2 * axis + 1]);
    }
  }
  return add_op({.kind = kind, .in = {x}, .window = w, .count_padding = count_padding},
                image_shape(w, w.channels));
}

int Graph::batch_norm(int x, int weight, int bias, int running_mean, int running_variance,
                      double momentum, double eps) {
  const Tensor& t = tensor(x);
  const long channels = t.shape.back();
  for (const int p : {weight, bias, running_mean, running_variance}) {
    if (parameter_of(p).shape != Shape{channels}) {
      refuse(where(), "batch normalisation expects parameters of shape (", channels, ",), got ",
             text_of(parameter_of(p).shape));
    }
  }
  if (!(momentum >= 0 && momentum <= 1)) {
    refuse(where(), "momentum must be in [0, 1], got ", momentum);
  }
  if (!(eps > 0)) refuse(where(), "eps must be positive, got ", eps);
  Op op{.kind = Kind::BatchNorm, .in = {x}, .weight = weight, .bias = bias};
  op.pixels = t.width / channels;
  op.momentum = momentum;
  op.eps = eps;
  op.running[0] = running_mean;
  op.running[1] = running_variance;
  return add_op(op, t.shape);
}

int Graph::lrn(int x, long size, double alpha, double beta, double bias) {
  const Tensor& t = image(x, "local response normalisation");
  check_axis(size, "size");
  if (size < 1 || size % 2 == 0 || !(bias > 0) || !(alpha >= 0)) {
    refuse(where(),
           "local response normalisation expects an odd size, bias > 0 and alpha >= 0, got ", size,
           ", ", bias, " and ", alpha);
  }
  Op op{.kind = Kind::LocalNorm, .in = {x}, .alpha = alpha, .scale = beta, .shift = bias};
  op.pixels = t.width / t.shape[2];
  op.size = size;
  return add_op(op, t.shape);
}

// The gradient of a mean over whole windows, times the size of a window.
int Graph::upsample(int x, Pair size) {
  const Shape& shape = image(x, "upsampling").shape;
  if (size[0] < 1 || size[1] < 1) {
    refuse(where(), "upsampling expects sizes of at least 1, got ", size[0], " and ", size[1]);
  }
  check_axis(std::max(size[0], size[1]), "size");
  const Shape large = {shape[0] * size[0], shape[1] * size[1], shape[2]};
  Window w{};
  w.channels = shape[2];
  for (int axis = 0; axis < 2; ++axis) {
    w.in[axis] = large[axis];
    w.out[axis] = shape[axis];
    w.kernel[axis] = w.stride[axis] = size[axis];
    w.dilation[axis] = 1;
  }
  const int scaled = affine(x, static_cast<double>(size[0] * size[1]), 0);
  return add_op({.kind = Kind::AvgPoolGrad, .in = {scaled}, .window = w}, large);
}

int Graph::zero_pad(int x, Pair rows, Pair columns, Pair channels) {
  Shape shape = image(x, "zero padding").shape;
  Op op{.kind = Kind::Pad, .in = {x}};
  const Pair all[3] = {rows, columns, channels};
  for (int axis = 0; axis < 3; ++axis) {
    if (all[axis][0] < 0 || all[axis][1] < 0) {
      refuse(where(), "zero padding expects numbers of at least 0, got ", all[axis][0], " and ",
             all[axis][1]);
    }
    check_axis(std::max(all[axis][0], all[axis][1]), "zero padding");
    op.around[axis] = all[axis][0];
    shape[axis] += all[axis][0] + all[axis][1];
  }
  return add_op(op, shape);
}

}  // namespace steep
