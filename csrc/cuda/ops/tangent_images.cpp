// Convolutions and what slides over images, in dual numbers.
#include "cuda/kernels/tangent_images.h"

#include "cuda/ops/sizes.h"
#include "cuda/ops/tangent.h"
#include "plan/conv_sums.h"

namespace steep::cuda {

namespace {

DualKernel kernel_of(const ops::Convolving& op, const DualBound& to) {
  return {{op.window, {nullptr, to.weight.panels}, static_cast<int>(op.groups), op.depthwise},
          to.weight.data};
}
const DualNumber* bias_of(const DualBound& to) {
  return to.parameters.size() > 1 ? to.parameters[1] : nullptr;
}

DualParts parts_of(const ops::Convolving& op, const DualBound& to) {
  const long filters = to.weight.panels.columns;
  const bool strips = op.groups > 1 && !pixelwise(op.window, op.groups);
  return {to.samples, static_cast<int>(weight_share(op.window, filters, op.groups)),
          strips ? static_cast<int>(forward_strip(op.window, sizeof(DualNumber))) : 0};
}

// One of correlate and carry_back, forward ...
template <auto pass> Launch forth(const ops::Convolving& op, const Fused& f, const DualBound& to) {
  return [k = kernel_of(op, to), f, bias = bias_of(to), x = to.in[0], y = to.out,
          z = to.before.data ? to.before : to.out](const Place& at) {
    pass(at, k, bias, false, x, z);
    if (f.any()) activate(at, f.activation, f.alpha, z, y);
  };
}
// ... and backward.
template <auto pass> Launch back(const ops::Convolving& op, const Fused& f, const DualBound& to) {
  return [k = kernel_of(op, to), f, dy = to.in[0], dx = to.out, stored = to.stored,
          add = to.accumulate](const Place& at) {
    pass(at, k, nullptr, add, dy, dx);
    if (f.any()) activate_grad(at, f.activation, f.alpha, dx, stored, dx, false);
  };
}

using Pass = void (*)(const Place&, const DualKernel&, const DualNumber*, bool, const Duals&,
                      const Duals&);
constexpr Pass kCorrelate = correlate, kCarryBack = carry_back;

}  // namespace

Launch bind(const ops::Conv& op, const DualBound& to) { return forth<kCorrelate>(op, op.f, to); }

Launch bind(const ops::ConvTranspose& op, const DualBound& to) {
  return forth<kCarryBack>(op, op.f, to);
}

Launch bind(const ops::ConvGrad& op, const DualBound& to) { return back<kCarryBack>(op, op.f, to); }

Launch bind(const ops::ConvTransposeGrad& op, const DualBound& to) {
  return back<kCorrelate>(op, op.f, to);
}

Launch bind(const ops::ConvGradWeight& op, const DualBound& to) {
  return [k = kernel_of(op, to), by = parts_of(op, to), x = to.in[0], dy = to.in[1],
          parts = to.out](const Place& at) { kernel_gradients(at, k, by, x, dy, parts); };
}

Launch bind(const ops::MaxPool& op, const DualBound& to) {
  return [w = op.window, x = to.in[0], y = to.out](const Place& at) { max_pool(at, w, x, y); };
}

Launch bind(const ops::MaxPoolGrad& op, const DualBound& to) {
  return [w = op.window, x = to.in[0], y = to.in[1], dy = to.in[2], dx = to.out,
          add = to.accumulate](const Place& at) { max_pool_grad(at, w, x, y, dy, dx, add); };
}

Launch bind(const ops::AvgPool& op, const DualBound& to) {
  return [w = op.window, padding = op.count_padding, x = to.in[0], y = to.out](const Place& at) {
    avg_pool(at, w, padding, x, y);
  };
}

Launch bind(const ops::AvgPoolGrad& op, const DualBound& to) {
  return [w = op.window, padding = op.count_padding, dy = to.in[0], dx = to.out,
          add = to.accumulate](const Place& at) { avg_pool_grad(at, w, padding, dy, dx, add); };
}

Launch bind(const ops::Upsample& op, const DualBound& to) {
  return
      [by = enlarged_of(op), x = to.in[0], y = to.out](const Place& at) { upsample(at, by, x, y); };
}

Launch bind(const ops::UpsampleGrad& op, const DualBound& to) {
  return [by = enlarged_of(op.of), dy = to.in[0], dx = to.out,
          add = to.accumulate](const Place& at) { upsample_grad(at, by, dy, dx, add); };
}

Launch bind(const ops::LocalNorm& op, const DualBound& to) {
  return [of = neighbours_of<DualNeighbours>(op), x = to.in[0], y = to.out](const Place& at) {
    local_norm(at, of, x, y);
  };
}

Launch bind(const ops::LocalNormGrad& op, const DualBound& to) {
  return [of = neighbours_of<DualNeighbours>(op.of), x = to.in[0], dy = to.in[1], dx = to.out,
          add = to.accumulate](const Place& at) { local_norm_grad(at, of, x, dy, dx, add); };
}

Launch bind(const ops::Pad& op, const DualBound& to) {
  return [f = frame_of(op), x = to.in[0], y = to.out](const Place& at) { pad(at, f, x, y); };
}

Launch bind(const ops::Crop& op, const DualBound& to) {
  return [f = frame_of(op.pad), x = to.in[0], y = to.out, add = to.accumulate](const Place& at) {
    crop(at, f, x, y, add);
  };
}

}  // namespace steep::cuda
