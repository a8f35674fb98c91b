// The steps of batch normalisation and of spectral normalisation.
#include "cuda/ops/bind.h"
#include "cuda/ops/sizes.h"

namespace steep::cuda {

namespace {

Running running_of(const ops::BatchStatistics& op, const Bound& to) {
  return {to.parameters[1], to.parameters[2], norm_of(op), op.momentum, op.unbiased};
}

Singular singular_of(const ops::Singular& op, const Bound& to) {
  return {to.weight,
          to.narrow,
          static_cast<int>(op.inputs),
          static_cast<int>(op.outputs),
          static_cast<int>(op.iterations),
          static_cast<int>(op.v()),
          static_cast<int>(op.inverse())};
}

}  // namespace

Launch bind(const ops::SumPixels& op, const Bound& to) {
  return
      [pixels = static_cast<int>(op.pixels), channels = static_cast<int>(op.channels), x = to.in[0],
       out = to.out](const Place& at) { sum_pixels(at, pixels, channels, x, out); };
}

Launch bind(const ops::BatchMoments& op, const Bound& to) {
  return [n = norm_of(op), x = to.in[0], out = to.out](const Place& at) { moments(at, n, x, out); };
}

Launch bind(const ops::BatchStatistics& op, const Bound& to) {
  return [n = norm_of(op), x = to.in[0], scale = to.parameters[0], out = to.out](const Place& at) {
    statistics(at, n, x, scale, out);
  };
}

Launch check(const ops::BatchStatistics& op, const Bound& to) {
  if (!op.followed) return {};
  return [r = running_of(op, to), of = to.out](const Place& at) { check_running(at, r, of); };
}

Launch follow(const ops::BatchStatistics& op, const Bound& to) {
  if (!op.followed) return {};
  return [r = running_of(op, to), of = to.out](const Place& at) { follow(at, r, of); };
}

Launch bind(const ops::FrozenStatistics& op, const Bound& to) {
  return [n = norm_of(op), scale = to.parameters[0], mean = to.parameters[1],
          variance = to.parameters[2],
          out = to.out](const Place& at) { frozen_statistics(at, n, scale, mean, variance, out); };
}

Launch bind(const ops::BatchNorm& op, const Bound& to) {
  return [n = norm_of(op), relu = op.f.any(), shift = to.parameters[1], x = to.in[0], of = to.in[1],
          residual = to.in.size() > 2 ? to.in[2] : View{},
          y = to.out](const Place& at) { normalize(at, n, x, of, shift, residual, relu, y); };
}

Launch bind(const ops::BatchNormSums& op, const Bound& to) {
  return [n = norm_of(op), dy = to.in[0], x = to.in[1], of = to.in[2],
          out = to.out](const Place& at) { norm_sums(at, n, dy, x, of, out); };
}

Launch bind(const ops::BatchNormGradients& op, const Bound& to) {
  return [n = norm_of(op), sums = to.in[0], of = to.in[1], out = to.out](const Place& at) {
    norm_means(at, n, sums, of, out);
  };
}

Launch bind(const ops::BatchNormGrad& op, const Bound& to) {
  return [n = norm_of(op), dy = to.in[0], x = to.in[1], of = to.in[2],
          means = op.by_running ? View{} : to.in[3], dx = to.out,
          add = to.accumulate](const Place& at) { norm_grad(at, n, dy, x, of, means, dx, add); };
}

Launch bind(const ops::SpectralVectors& op, const Bound& to) {
  return [of = singular_of(op, to), u = to.parameters[1], out = to.out](const Place& at) {
    singular_vectors(at, of, u, out);
  };
}

Launch follow(const ops::SpectralVectors& op, const Bound& to) {
  if (!op.followed) return {};
  return [n = static_cast<int>(op.outputs), u = to.parameters[1],
          vectors = to.out](const Place& at) { keep_vector(at, vectors, u, n); };
}

Launch bind(const ops::SpectralNorm& op, const Bound& to) {
  return [of = singular_of(op, to), bias = to.parameters.size() > 2 ? to.parameters[2] : nullptr,
          x = to.in[0], vectors = to.in[1],
          y = to.out](const Place& at) { singular_scale(at, of, x, vectors, bias, y, false); };
}

Launch bind(const ops::SpectralScale& op, const Bound& to) {
  return [of = singular_of(op, to), x = to.in[0], vectors = to.in[1], y = to.out,
          add = to.accumulate](const Place& at) {
    singular_scale(at, of, x, vectors, nullptr, y, add);
  };
}

Launch bind(const ops::SpectralShares& op, const Bound& to) {
  return [of = singular_of(op, to), dy = to.in[0], x = to.in[1], vectors = to.in[2],
          out = to.out](const Place& at) { singular_shares(at, of, dy, x, vectors, out); };
}

}  // namespace steep::cuda
