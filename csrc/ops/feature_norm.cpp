// Shape, lowering and gradient of the normalisation of samples by themselves.
#include "ops/feature_norm.h"

#include "ops/steps.h"

namespace steep::ops {

Shape FeatureNorm::shape(const Given& given) {
  channels = given.shape().back();
  for (std::size_t i = 0; i < kParameters.size() && given.has_parameter(i); ++i) {
    given.expect_vector(i, "normalisation expects parameters of shape", channels);
  }
  if (!(eps > 0)) given.refuse("eps must be positive, got ", eps);
  if (groups < 0 || (groups > 0 && channels % groups != 0)) {
    given.refuse("groups must divide the ", channels, " channels, got ", groups);
  }
  outer = by_position() ? given.positions() : 1;
  pixels = by_position() ? 1 : given.positions();
  parts = by_position() ? 1 : groups;
  return given.shape();
}

void FeatureNorm::lower(Lowering& to, Op& op) const {
  op.in.push_back(
      to.step({.what = FeatureMoments{*this}, .in = {op.in[0]}}, {.width = 2 * pieces()}));
}

void FeatureNorm::gradient(Gradients& to, const Op& op) const {
  const int weight = op.parameter(0), bias = op.parameter(1), x = op.in[0], moments = op.in[1];
  std::vector<int> in{to.result(), x, moments};
  if (weight >= 0 || !by_position()) {
    const int sums =
        to.step({.what = FeatureNormSums{*this}, .in = in}, {.width = 2 * padded(channels)});
    to.term(weight, {.form = GradTerm::Form::Sum, .x = -1, .dy = sums, .second_half = true});
    to.term(bias, {.form = GradTerm::Form::Sum, .x = -1, .dy = sums});
    if (!by_position()) in.push_back(sums);
  }
  to.give(0, {.what = FeatureNormGrad{*this}, .in = in, .parameters = {weight}});
}

}  // namespace steep::ops
