// Shape, lowering and gradients of convolutions.
#include "ops/conv.h"

#include <algorithm>

#include "base/panels.h"
#include "ops/steps.h"

namespace steep::ops {

namespace {

// Frames of zeros around an image, and around the gradient that flows back, must be countable.
void check_frame(const Given& given, const Window& w, long filters, const Padding& padding) {
  const auto span = [&](int axis) {
    return 2.0 * static_cast<double>(w.in[axis] + padding[2 * axis] + padding[2 * axis + 1]);
  };
  const double most = span(0) * span(1) * static_cast<double>(std::max(w.channels, filters));
  if (most <= static_cast<double>(kMostElements)) return;
  given.refuse("an image of ", w.in[0], " by ", w.in[1], " with padding (", padding[0], ", ",
               padding[1], ", ", padding[2], ", ", padding[3], ") and ",
               std::max(w.channels, filters),
               " channels or filters is too large: at most 2^38 elements in all");
}

// Of every channel alone, vectors are whole.
double multiply_adds(const Convolving& conv, const Shape& weight) {
  const long taps =
      conv.depthwise ? conv.window.taps() * padded(weight.back()) : elements_of(weight);
  return static_cast<double>(conv.window.out_pixels()) * static_cast<double>(taps);
}

// The weights of a convolution, made ready for one of its passes.
int packed(Steps& to, const Convolving& conv, int weight, bool transposed) {
  return to.first({.what = ConvPack{conv, transposed}, .parameters = {weight}},
                  {.samples = kAllSamples});
}

// What both sorts have in common: W and the sums of b.
void weight_terms(Gradients& to, const Convolving& conv, const Op& op, int x, int dy, int dz,
                  long pixels) {
  const int weight = op.parameter(0), bias = op.parameter(1);
  const int dw = to.step({.what = ConvGradWeight{conv}, .in = {x, dy}, .parameters = {weight}}, {});
  to.term(weight, {GradTerm::Form::Partial, -1, dw});
  if (bias < 0) return;
  if (pixels == 1) return to.term(bias, {GradTerm::Form::Sum, -1, dz});
  const long channels = to.shape(dz).back();
  const int sums = to.step({.what = SumPixels{pixels, channels}, .in = {dz}}, {.width = channels});
  to.term(bias, {GradTerm::Form::Sum, -1, sums});
}

// The tensors that a pass reads.
std::vector<int> operands(Steps& to, const Convolving& conv, int weight, int of, bool transposed) {
  if (conv.depthwise) return {of};
  return {of, packed(to, conv, weight, transposed)};
}

}  // namespace

// Weights (length, in/groups, out) are those of a sequence (length, channels): an image one pixel wide.
Shape Conv::shape(const Given& given) {
  Shape w = given.parameter(0), x = given.shape();
  const bool sequence = w.size() == 3;
  if (sequence && x.size() != 2) {
    given.refuse("a convolution with weights ", text_of(w), " expects a sequence (length, ",
                 "channels), got ", text_of(x));
  }
  if (sequence) {
    w.insert(w.begin() + 1, 1);
    x.insert(x.begin() + 1, 1);
  } else {
    given.image("a convolution");
  }
  if (w.size() != 4) {
    given.refuse("a convolution expects weights (height, width, in/groups, out), or of a sequence ",
                 "(length, in/groups, out), got ", text_of(w));
  }
  if (groups < 1 || x[2] % groups != 0 || w[3] % groups != 0) {
    given.refuse("groups must divide the ", x[2], " channels of the input and the ", w[3],
                 " of the output, got ", groups);
  }
  if (w[2] * groups != x[2]) {
    given.refuse("input of ", x[2], " channels in ", groups,
                 " groups does not fit weights of shape ", text_of(w));
  }
  if (given.has_parameter(1)) given.expect_vector(1, "bias must have shape", w[3]);
  window = window_of(given, "a convolution", x, {{w[0], w[1]}, stride, padding, dilation});
  check_frame(given, window, w[3], padding);
  depthwise = groups > 1 && w[2] == 1 && w[3] == groups;
  return sequence ? Shape{window.out[0], w[3]} : image_shape(window, w[3]);
}

void Conv::lower(Lowering& to, Op& op) const {
  op.in = operands(to, *this, op.parameter(0), op.in[0], false);
}

void Conv::gradient(Gradients& to, const Op& op) const {
  const int dz = to.before(f), weight = op.parameter(0);
  weight_terms(to, *this, op, op.in[0], dz, dz, window.out_pixels());
  if (!to.wanted(0)) return;
  to.give(0, {.what = ConvGrad{*this},
              .in = operands(to, *this, weight, dz, true),
              .parameters = {weight}});
}

namespace {

// The image whose convolution gives images of shape x, along one axis.
long size_before(const Given& given, const ConvTranspose& op, long x, long kernel, int axis) {
  const long stride = op.stride[axis], dilation = op.dilation[axis], more = op.more[axis];
  const long before = op.padding[2 * axis], after = op.padding[2 * axis + 1];
  if (stride < 1 || dilation < 1 || before < 0 || after < 0 || more < 0) {
    given.refuse(
        "a transposed convolution expects strides and dilations of at least 1 and padding ",
        "of at least 0, got ", stride, ", ", dilation, ", ", before, ", ", after, " and ", more);
  }
  for (const long n : {kernel, stride, dilation, before, after, more}) {
    given.expect_axis(n, "sizes, strides, dilations and padding");
  }
  if (more >= std::max(stride, dilation)) {
    given.refuse("output_padding must be below the stride or the dilation, ", stride, " and ",
                 dilation, ", got ", more);
  }
  const long size = (x - 1) * stride + (kernel - 1) * dilation + 1 + more - before - after;
  if (size < 1) {
    given.refuse("padding ", before, " and ", after, " leaves nothing of ", x,
                 axis == 0 ? " rows" : " columns");
  }
  given.expect_axis(size, "the size of the result");
  return size;
}

}  // namespace

Shape ConvTranspose::shape(const Given& given) {
  const Shape& x = given.image("a transposed convolution");
  const Shape& w = given.parameter(0);
  if (w.size() != 4) {
    given.refuse("a transposed convolution expects weights (height, width, out/groups, in), got ",
                 text_of(w));
  }
  if (w[3] != x[2] || groups < 1 || x[2] % groups != 0) {
    given.refuse("input of ", x[2], " channels in ", groups,
                 " groups does not fit weights of shape ", text_of(w));
  }
  const long filters = w[2] * groups;
  if (given.has_parameter(1)) given.expect_vector(1, "bias must have shape", filters);
  window.channels = filters;
  for (int axis = 0; axis < 2; ++axis) {
    window.in[axis] = size_before(given, *this, x[axis], w[axis], axis);
    window.out[axis] = x[axis];
    window.kernel[axis] = w[axis];
    window.stride[axis] = stride[axis];
    window.dilation[axis] = dilation[axis];
    window.before[axis] = padding[2 * axis];
  }
  check_frame(given, window, w[3], padding);
  depthwise = groups > 1 && w[2] == 1 && w[3] == groups;
  return {window.in[0], window.in[1], filters};
}

void ConvTranspose::lower(Lowering& to, Op& op) const {
  op.in = operands(to, *this, op.parameter(0), op.in[0], true);
}

void ConvTranspose::gradient(Gradients& to, const Op& op) const {
  const int dz = to.before(f), weight = op.parameter(0);
  weight_terms(to, *this, op, dz, op.in[0], dz, window.pixels());
  if (!to.wanted(0)) return;
  to.give(0, {.what = ConvTransposeGrad{*this},
              .in = operands(to, *this, weight, dz, false),
              .parameters = {weight}});
}

double Conv::flops(const Shape& weight) const { return 2.0 * multiply_adds(*this, weight); }
double ConvGrad::flops(const Shape& weight) const { return 4.0 * multiply_adds(*this, weight); }
double ConvTranspose::flops(const Shape& weight) const {
  return 2.0 * multiply_adds(*this, weight);
}
double ConvTransposeGrad::flops(const Shape& weight) const {
  return 4.0 * multiply_adds(*this, weight);
}

}  // namespace steep::ops
