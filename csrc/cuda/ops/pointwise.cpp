// Activations, maps by numbers and by parameters, softmax, and ops that move elements.
#include "cuda/ops/bind.h"
#include "cuda/ops/sizes.h"

namespace steep::cuda {

Launch bind(const ops::Activation& op, const Bound& to) {
  return [f = static_cast<int>(op.activation), alpha = static_cast<float>(op.alpha), x = to.in[0],
          y = to.out](const Place& at) { activate(at, f, alpha, x, y); };
}

Launch bind(const ops::ActivationGrad& op, const Bound& to) {
  return [f = static_cast<int>(op.activation), alpha = static_cast<float>(op.alpha), dy = to.in[0],
          stored = to.in[1], dx = to.out, add = to.accumulate](const Place& at) {
    activate_grad(at, f, alpha, dy, stored, dx, add);
  };
}

Launch bind(const ops::Affine& op, const Bound& to) {
  const Line line{op.scale, static_cast<float>(op.shift), op.scalar};
  return [=, x = to.in[0], y = to.out, add = to.accumulate](const Place& at) {
    affine(at, line, x, y, add);
  };
}

Launch bind(const ops::AffineChannels& op, const Bound& to) {
  const float* const scales = to.keep(op.scales);
  const float* const shifts = op.shifts.empty() ? nullptr : to.keep(op.shifts);
  return [=, period = static_cast<int>(op.scales.size()), x = to.in[0], y = to.out,
          add = to.accumulate](const Place& at) {
    multiply_row(at, x, scales, period, y, add);
    if (shifts) add_row(at, y, shifts, period, y);
  };
}

Launch bind(const ops::AddRow& op, const Bound& to) {
  return [x = to.in[0], row = to.parameters[0], y = to.out,
          period = to.out.columns / static_cast<int>(op.positions)](const Place& at) {
    add_row(at, x, row, period, y);
  };
}

Launch bind(const ops::MultiplyRow& op, const Bound& to) {
  return [x = to.in[0], row = to.parameters[0], y = to.out, add = to.accumulate,
          period = to.out.columns / static_cast<int>(op.positions)](const Place& at) {
    multiply_row(at, x, row, period, y, add);
  };
}

Launch bind(const ops::CopyColumns& op, const Bound& to) {
  const Columns which{static_cast<int>(op.from), static_cast<int>(op.to),
                      static_cast<int>(op.columns), static_cast<int>(op.pixels)};
  return [=, x = to.in[0], y = to.out, add = to.accumulate](const Place& at) {
    copy_columns(at, which, x, y, add);
  };
}

Launch bind(const ops::Pad& op, const Bound& to) {
  return [f = frame_of(op), x = to.in[0], y = to.out](const Place& at) { pad(at, f, x, y); };
}

Launch bind(const ops::Crop& op, const Bound& to) {
  return [f = frame_of(op.pad), x = to.in[0], y = to.out, add = to.accumulate](const Place& at) {
    crop(at, f, x, y, add);
  };
}

Launch bind(const ops::Softmax& op, const Bound& to) {
  return [x = to.in[0], y = to.out, positions = static_cast<int>(op.positions)](const Place& at) {
    softmax(at, positions, x, y);
  };
}

Launch bind(const ops::SoftmaxGrad& op, const Bound& to) {
  return [dy = to.in[0], y = to.in[1], dx = to.out, add = to.accumulate,
          positions = static_cast<int>(op.positions)](const Place& at) {
    softmax_grad(at, positions, dy, y, dx, add);
  };
}

}  // namespace steep::cuda
