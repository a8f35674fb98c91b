// Shape, steps and gradient of spectral normalisation.
#include "ops/spectral.h"

#include "ops/steps.h"

namespace steep::ops {

Shape SpectralNorm::shape(const Given& given) {
  const Shape &x = given.shape(), &w = given.parameter(0);
  if (w.size() < 2 || w.back() != x.back()) {
    given.refuse("a product of ", x.back(), " outputs does not fit weights of shape ", text_of(w));
  }
  outputs = w.back();
  inputs = elements_of(w) / outputs;
  given.expect_vector(1, "u must have shape", outputs);
  if (given.has_parameter(2)) given.expect_vector(2, "bias must have shape", outputs);
  if (iterations < 1) given.refuse("iterations must be at least 1, got ", iterations);
  return x;
}

void SpectralNorm::lower(Lowering& to, Op& op) const {
  const int weight = op.parameter(0), u = op.parameter(1);
  const SpectralVectors vectors{*this, to.training() && to.moves(u) && !to.frozen(u)};
  op.in.push_back(to.first({.what = vectors, .parameters = {weight, u}},
                           {.width = width(), .samples = kAllSamples}));
}

void SpectralNorm::gradient(Gradients& to, const Op& op) const {
  const int dy = to.result(), x = op.in[0], vectors = op.in[1];
  const int shares =
      to.step({.what = SpectralShares{*this}, .in = {dy, x, vectors}}, {.width = inputs});
  to.term(op.parameter(0), {GradTerm::Form::Outer, shares, vectors});
  if (op.parameter(2) >= 0) {
    const long pixels = elements_of(to.shape(x)) / outputs;
    const int sums =
        pixels == 1 ? dy
                    : to.step({.what = SumPixels{pixels, outputs}, .in = {dy}}, {.width = outputs});
    to.term(op.parameter(2), {GradTerm::Form::Sum, -1, sums});
  }
  to.give(0, {.what = SpectralScale{*this}, .in = {dy, vectors}});
}

}  // namespace steep::ops
