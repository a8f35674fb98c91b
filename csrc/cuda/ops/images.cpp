// Convolutions and what slides over images.
#include "cuda/ops/bind.h"
#include "cuda/ops/sizes.h"

namespace steep::cuda {

namespace {

Kernel kernel_of(const ops::Convolving& op, const Bound& to) {
  return {op.window, to.weight, static_cast<int>(op.groups), op.depthwise};
}
const float* bias_of(const Bound& to) {
  return to.parameters.size() > 1 ? to.parameters[1] : nullptr;
}

}  // namespace

Launch bind(const ops::Conv& op, const Bound& to) {
  return [k = kernel_of(op, to), by = correlate_by(to.aid, kernel_of(op, to)),
          f = function_of(op.f), bias = bias_of(to), x = to.in[0], y = to.out,
          z = to.before](const Place& at) { by(at, k, bias, false, f, x, y, z); };
}

Launch bind(const ops::ConvTranspose& op, const Bound& to) {
  return [k = kernel_of(op, to), by = carry_back_by(to.aid, kernel_of(op, to)),
          f = function_of(op.f), bias = bias_of(to), x = to.in[0], y = to.out,
          z = to.before](const Place& at) { by(at, k, bias, false, f, x, y, z); };
}

Launch bind(const ops::ConvGrad& op, const Bound& to) {
  return
      [k = kernel_of(op, to), by = carry_back_by(to.aid, kernel_of(op, to)), f = function_of(op.f),
       add = to.accumulate, dy = to.in[0], stored = to.stored, dx = to.out](const Place& at) {
        by(at, k, nullptr, add, {}, dy, dx, {});
        if (f.f >= 0) activate_grad(at, f.f, f.alpha, dx, stored, dx, false);
      };
}

Launch bind(const ops::ConvTransposeGrad& op, const Bound& to) {
  return
      [k = kernel_of(op, to), by = correlate_by(to.aid, kernel_of(op, to)), f = function_of(op.f),
       add = to.accumulate, dy = to.in[0], stored = to.stored, dx = to.out](const Place& at) {
        by(at, k, nullptr, add, {}, dy, dx, {});
        if (f.f >= 0) activate_grad(at, f.f, f.alpha, dx, stored, dx, false);
      };
}

Launch bind(const ops::ConvGradWeight& op, const Bound& to) {
  return [k = kernel_of(op, to), by = kernel_gradients_by(to.aid, kernel_of(op, to)),
          images = to.samples, x = to.in[0], dy = to.in[1],
          parts = to.out](const Place& at) { by(at, k, images, x, dy, parts); };
}

Launch bind(const ops::MaxPool& op, const Bound& to) {
  return [w = op.window, x = to.in[0], y = to.out](const Place& at) { max_pool(at, w, x, y); };
}

Launch bind(const ops::MaxPoolGrad& op, const Bound& to) {
  return [w = op.window, x = to.in[0], y = to.in[1], dy = to.in[2], dx = to.out,
          add = to.accumulate](const Place& at) { max_pool_grad(at, w, x, y, dy, dx, add); };
}

Launch bind(const ops::AvgPool& op, const Bound& to) {
  return [w = op.window, padding = op.count_padding, x = to.in[0], y = to.out](const Place& at) {
    avg_pool(at, w, padding, x, y);
  };
}

Launch bind(const ops::AvgPoolGrad& op, const Bound& to) {
  return [w = op.window, padding = op.count_padding, dy = to.in[0], dx = to.out,
          add = to.accumulate](const Place& at) { avg_pool_grad(at, w, padding, dy, dx, add); };
}

Launch bind(const ops::Upsample& op, const Bound& to) {
  return
      [by = enlarged_of(op), x = to.in[0], y = to.out](const Place& at) { upsample(at, by, x, y); };
}

Launch bind(const ops::UpsampleGrad& op, const Bound& to) {
  return [by = enlarged_of(op.of), dy = to.in[0], dx = to.out,
          add = to.accumulate](const Place& at) { upsample_grad(at, by, dy, dx, add); };
}

Launch bind(const ops::LocalNorm& op, const Bound& to) {
  return [of = neighbours_of<Neighbours>(op), x = to.in[0], y = to.out](const Place& at) {
    local_norm(at, of, x, y);
  };
}

Launch bind(const ops::LocalNormGrad& op, const Bound& to) {
  return [of = neighbours_of<Neighbours>(op.of), x = to.in[0], dy = to.in[1], dx = to.out,
          add = to.accumulate](const Place& at) { local_norm_grad(at, of, x, dy, dx, add); };
}

}  // namespace steep::cuda
