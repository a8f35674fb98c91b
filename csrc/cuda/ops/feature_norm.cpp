// The steps of the normalisation of samples by themselves.
#include "cuda/ops/bind.h"
#include "cuda/ops/sizes.h"

namespace steep::cuda {

namespace {

const float* optional(const Bound& to, std::size_t parameter) {
  return parameter < to.parameters.size() ? to.parameters[parameter] : nullptr;
}

}  // namespace

Launch bind(const ops::FeatureMoments& op, const Bound& to) {
  return [n = featured_of(op), x = to.in[0], out = to.out](const Place& at) {
    feature_moments(at, n, x, out);
  };
}

Launch bind(const ops::FeatureNorm& op, const Bound& to) {
  const bool makes = to.in.size() == 1;
  return [=, n = featured_of(op), x = to.in[0], moments = makes ? to.before : to.in[1],
          weight = optional(to, 0), bias = optional(to, 1),
          y = to.out](const Place& at) { feature_norm(at, n, x, moments, makes, weight, bias, y); };
}

Launch bind(const ops::FeatureNormSums& op, const Bound& to) {
  return [n = featured_of(op), dy = to.in[0], x = to.in[1], moments = to.in[2],
          out = to.out](const Place& at) { feature_norm_sums(at, n, dy, x, moments, out); };
}

Launch bind(const ops::FeatureNormGrad& op, const Bound& to) {
  return [n = featured_of(op), dy = to.in[0], x = to.in[1], moments = to.in[2],
          sums = to.in.size() > 3 ? to.in[3] : View{}, weight = optional(to, 0), dx = to.out,
          add = to.accumulate](const Place& at) {
    feature_norm_grad(at, n, dy, x, moments, sums, weight, dx, add);
  };
}

}  // namespace steep::cuda
