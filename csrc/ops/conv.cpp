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
  if (!depthwise) op.in.push_back(packed(to, *this, op.parameter(0), false));
}

void Conv::gradient(Gradients& to, const Op& op) const {
  const int dz = to.before(f), weight = op.parameter(0), bias = op.parameter(1);
  const int dw =
      to.step({.what = ConvGradWeight{*this}, .in = {op.in[0], dz}, .parameters = {weight}}, {});
  to.term(weight, {GradTerm::Form::Partial, -1, dw});
  if (bias >= 0) {
    const long filters = to.shape(dz).back();
    const int sums =
        to.step({.what = SumPixels{window.out_pixels(), filters}, .in = {dz}}, {.width = filters});
    to.term(bias, {GradTerm::Form::Sum, -1, sums});
  }
  if (!to.wanted(0)) return;
  std::vector<int> in = {dz};
  if (!depthwise) in.push_back(packed(to, *this, weight, true));
  to.give(0, {.what = ConvGrad{*this}, .in = in, .parameters = {weight}});
}

double Conv::flops(const Shape& weight) const { return 2.0 * multiply_adds(*this, weight); }
double ConvGrad::flops(const Shape& weight) const { return 4.0 * multiply_adds(*this, weight); }

}  // namespace steep::ops
