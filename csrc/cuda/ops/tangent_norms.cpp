// The steps of normalisations in dual numbers.
#include "cuda/kernels/tangent_norms.h"

#include "cuda/ops/sizes.h"
#include "cuda/ops/tangent.h"

namespace steep::cuda {

namespace {

Duals optional(const DualBound& to, std::size_t tensor) {
  return tensor < to.in.size() ? to.in[tensor] : Duals{};
}
const DualNumber* weight_of(const DualBound& to, std::size_t parameter) {
  return parameter < to.parameters.size() ? to.parameters[parameter] : nullptr;
}

}  // namespace

Launch bind(const ops::SumPixels& op, const DualBound& to) {
  return
      [pixels = static_cast<int>(op.pixels), channels = static_cast<int>(op.channels), x = to.in[0],
       out = to.out](const Place& at) { sum_pixels(at, pixels, channels, x, out); };
}

Launch bind(const ops::BatchMoments& op, const DualBound& to) {
  return [n = norm_of(op), x = to.in[0], out = to.out](const Place& at) { moments(at, n, x, out); };
}

Launch bind(const ops::BatchStatistics& op, const DualBound& to) {
  return [n = norm_of(op), x = to.in[0], weight = to.parameters[0], out = to.out](const Place& at) {
    statistics(at, n, x, weight, out);
  };
}

Launch bind(const ops::FrozenStatistics& op, const DualBound& to) {
  return [n = norm_of(op), of = to.parameters, out = to.out](const Place& at) {
    frozen_statistics(at, n, of[0], of[1], of[2], out);
  };
}

Launch bind(const ops::BatchNorm& op, const DualBound& to) {
  return [n = norm_of(op), relu = op.f.any(), x = to.in[0], statistics = to.in[1],
          residual = optional(to, 2), shift = to.parameters[1], y = to.out](const Place& at) {
    normalize(at, n, x, statistics, shift, residual, relu, y);
  };
}

Launch bind(const ops::BatchNormSums& op, const DualBound& to) {
  return [n = norm_of(op), dy = to.in[0], x = to.in[1], statistics = to.in[2],
          out = to.out](const Place& at) { normalize_sums(at, n, dy, x, statistics, out); };
}

Launch bind(const ops::BatchNormGradients& op, const DualBound& to) {
  return [n = norm_of(op), sums = to.in[0], statistics = to.in[1], out = to.out](const Place& at) {
    normalize_means(at, n, sums, statistics, out);
  };
}

Launch bind(const ops::BatchNormGrad& op, const DualBound& to) {
  return [n = norm_of(op), dy = to.in[0], x = to.in[1], statistics = to.in[2],
          means = op.by_running ? Duals{} : to.in[3], dx = to.out, add = to.accumulate](
             const Place& at) { normalize_grad(at, n, dy, x, statistics, means, dx, add); };
}

Launch bind(const ops::FeatureMoments& op, const DualBound& to) {
  return [n = featured_of(op), x = to.in[0], out = to.out](const Place& at) {
    feature_moments(at, n, x, out);
  };
}

Launch bind(const ops::FeatureNorm& op, const DualBound& to) {
  return [n = featured_of(op), x = to.in[0], moments = to.in[1], weight = weight_of(to, 0),
          bias = weight_of(to, 1),
          y = to.out](const Place& at) { feature_norm(at, n, x, moments, weight, bias, y); };
}

Launch bind(const ops::FeatureNormSums& op, const DualBound& to) {
  return [n = featured_of(op), dy = to.in[0], x = to.in[1], moments = to.in[2],
          out = to.out](const Place& at) { feature_norm_sums(at, n, dy, x, moments, out); };
}

Launch bind(const ops::FeatureNormGrad& op, const DualBound& to) {
  return [n = featured_of(op), dy = to.in[0], x = to.in[1], moments = to.in[2],
          sums = optional(to, 3), weight = weight_of(to, 0), dx = to.out, add = to.accumulate](
             const Place& at) { feature_norm_grad(at, n, dy, x, moments, sums, weight, dx, add); };
}

}  // namespace steep::cuda
