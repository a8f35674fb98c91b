// Launches in dual numbers. What an op is, and which launches it becomes in floats, is beside this file.
#include "cuda/ops/tangent.h"

namespace steep::cuda {

namespace {

Launch pair(Pair how, const DualBound& to) {
  return [=, a = to.in[0], b = to.in[1], y = to.out, add = to.accumulate](const Place& at) {
    combine(at, how, a, b, y, add);
  };
}

template <class A> Axes axes_of(const A& op) {
  return {static_cast<int>(op.outer), static_cast<int>(op.n), static_cast<int>(op.inner)};
}

DualFactor factor_of(const ops::Multiplying& op, const DualBound& to) {
  DualFactor w = to.weight;
  w.turned = op.turned;
  w.positions = static_cast<int>(op.positions);
  return w;
}

Launch by_channel(const std::vector<double>& scales, const std::vector<double>& shifts,
                  const Duals& x, const DualBound& to, bool add) {
  const double* const times = to.keep(scales);
  const double* const plus = shifts.empty() ? nullptr : to.keep(shifts);
  return [=, period = static_cast<int>(scales.size()), y = to.out](const Place& at) {
    multiply_row(at, x, times, period, y, add);
    if (plus) add_row(at, y, plus, period, y);
  };
}

}  // namespace

// The kernel of floats reads samples as they are: whole numbers and floats come through it unchanged.
Launch bind(const ops::Input& op, const DualBound& to) {
  const Launch read = [scale = op.scale, shift = op.shift, number = op.number, target = op.target,
                       feed = to.feed, deals = to.deals, gathered = to.gathered,
                       out = to.out](const Place& at) {
    gather(at, feed->deal, target ? feed->targets[number] : feed->inputs[number],
           target ? Augmented{} : feed->augmented, 1, 0, gathered, deals);
    widen(at, gathered, scale, shift, out);
  };
  if (op.scales.empty()) return read;
  return [read, map = by_channel(op.scales, op.shifts, to.out, to, false)](const Place& at) {
    read(at);
    map(at);
  };
}

Launch bind(const ops::Loss& op, const DualBound& to) {
  return [index = op.loss, option = op.option, z = to.in[0], dz = to.out, term = op.term,
          feed = to.feed, factor = to.factors + op.term, probe = to.probe](const Place& at) {
    if (probe->kind == DualProbe::kGiven) return turn_back(at, z, probe->back, probe->outputs, dz);
    const bool curved = probe->kind == DualProbe::kCurvature;
    if (dz.data) loss(at, index, option, z, feed->truths[term], {factor, term, curved}, dz);
  };
}

Launch bind(const ops::MeanLoss& op, const DualBound& to) {
  return [scale = op.scale, x = to.in[0], dx = to.out, term = op.term, feed = to.feed,
          factor = to.factors + op.term, probe = to.probe](const Place& at) {
    const bool curved = probe->kind == DualProbe::kCurvature;
    if (dx.data) mean_loss(at, scale, x, feed->truths[term], {factor, term, curved}, dx);
  };
}

Launch bind(const ops::MatMul& op, const DualBound& to) {
  const DualNumber* const bias = to.parameters.size() > 1 ? to.parameters[1] : nullptr;
  return [=, w = factor_of(op, to), f = op.f, x = to.in[0], y = to.out,
          z = to.before.data ? to.before : to.out](const Place& at) {
    matmul(at, x, w, bias, z);
    if (f.any()) activate(at, f.activation, f.alpha, z, y);
  };
}

Launch bind(const ops::MatMulGrad& op, const DualBound& to) {
  return [w = factor_of(op, to), f = op.f, dz = to.in[0], dx = to.out, stored = to.stored,
          add = to.accumulate](const Place& at) {
    matmul_grad(at, dz, w, add, dx);
    if (f.any()) activate_grad(at, f.activation, f.alpha, dx, stored, dx, false);
  };
}

Launch bind(const ops::Activation& op, const DualBound& to) {
  return [f = op.activation.index, alpha = op.alpha, x = to.in[0], y = to.out](const Place& at) {
    activate(at, f, alpha, x, y);
  };
}

Launch bind(const ops::ActivationGrad& op, const DualBound& to) {
  return
      [f = op.activation.index, alpha = op.alpha, dy = to.in[0], stored = to.in[1], dx = to.out,
       add = to.accumulate](const Place& at) { activate_grad(at, f, alpha, dy, stored, dx, add); };
}

Launch bind(const ops::Add&, const DualBound& to) { return pair(Pair::kAdd, to); }
Launch bind(const ops::Subtract&, const DualBound& to) { return pair(Pair::kSubtract, to); }
Launch bind(const ops::Multiply&, const DualBound& to) { return pair(Pair::kMultiply, to); }
Launch bind(const ops::Divide&, const DualBound& to) { return pair(Pair::kDivide, to); }
Launch bind(const ops::Maximum&, const DualBound& to) { return pair(Pair::kMaximum, to); }
Launch bind(const ops::Minimum&, const DualBound& to) { return pair(Pair::kMinimum, to); }

Launch bind(const ops::DivideGrad&, const DualBound& to) {
  return [dy = to.in[0], y = to.in[1], b = to.in[2], out = to.out,
          add = to.accumulate](const Place& at) { divide_grad(at, dy, y, b, out, add); };
}

Launch bind(const ops::WhereLarger&, const DualBound& to) {
  return [a = to.in[0], b = to.in[1], d = to.in[2], y = to.out,
          add = to.accumulate](const Place& at) { where_larger(at, a, b, d, y, add); };
}

Launch bind(const ops::Power& op, const DualBound& to) {
  return [exponent = op.exponent, x = to.in[0], y = to.out, add = to.accumulate](const Place& at) {
    power(at, exponent, x, y, add);
  };
}

Launch bind(const ops::PowerGrad& op, const DualBound& to) {
  return [exponent = op.exponent, dy = to.in[0], x = to.in[1], dx = to.out,
          add = to.accumulate](const Place& at) { power_grad(at, exponent, dy, x, dx, add); };
}

Launch bind(const ops::Clip& op, const DualBound& to) {
  return [low = op.low, high = op.high, x = to.in[0], y = to.out,
          add = to.accumulate](const Place& at) { keep_within(at, low, high, x, y, add); };
}

Launch bind(const ops::ClipGrad& op, const DualBound& to) {
  return
      [low = op.low, high = op.high, dy = to.in[0], x = to.in[1], dx = to.out,
       add = to.accumulate](const Place& at) { keep_within_grad(at, low, high, dy, x, dx, add); };
}

Launch bind(const ops::Affine& op, const DualBound& to) {
  return [line = DualLine{op.scale, op.shift, op.scalar}, x = to.in[0], y = to.out,
          add = to.accumulate](const Place& at) { affine(at, line, x, y, add); };
}

Launch bind(const ops::AffineChannels& op, const DualBound& to) {
  return by_channel(op.scales, op.shifts, to.in[0], to, to.accumulate);
}

Launch bind(const ops::AddRow& op, const DualBound& to) {
  return [x = to.in[0], row = to.parameters[0], y = to.out,
          period = to.out.columns / static_cast<int>(op.positions)](const Place& at) {
    add_row(at, x, row, period, y);
  };
}

Launch bind(const ops::MultiplyRow& op, const DualBound& to) {
  return [x = to.in[0], row = to.parameters[0], y = to.out, add = to.accumulate,
          period = to.out.columns / static_cast<int>(op.positions)](const Place& at) {
    multiply_row(at, x, row, period, y, add);
  };
}

Launch bind(const ops::CopyColumns& op, const DualBound& to) {
  const Columns which{static_cast<int>(op.from), static_cast<int>(op.to),
                      static_cast<int>(op.columns), static_cast<int>(op.pixels)};
  return [=, x = to.in[0], y = to.out, add = to.accumulate](const Place& at) {
    copy_columns(at, which, x, y, add);
  };
}

Launch bind(const ops::Softmax& op, const DualBound& to) {
  return [x = to.in[0], y = to.out, positions = static_cast<int>(op.positions)](const Place& at) {
    softmax(at, positions, x, y);
  };
}

Launch bind(const ops::SoftmaxGrad& op, const DualBound& to) {
  return [dy = to.in[0], y = to.in[1], dx = to.out, add = to.accumulate,
          positions = static_cast<int>(op.positions)](const Place& at) {
    softmax_grad(at, positions, dy, y, dx, add);
  };
}

Launch bind(const ops::Sum& op, const DualBound& to) {
  return [axes = axes_of(op), scale = op.scale, x = to.in[0], y = to.out,
          add = to.accumulate](const Place& at) { sum_axes(at, axes, scale, x, y, add); };
}

Launch bind(const ops::Repeat& op, const DualBound& to) {
  return [axes = axes_of(op), scale = op.scale, x = to.in[0], y = to.out,
          add = to.accumulate](const Place& at) { repeat_axes(at, axes, scale, x, y, add); };
}

Launch bind(const ops::Slice& op, const DualBound& to) {
  return [axes = axes_of(op), first = static_cast<int>(op.first), last = static_cast<int>(op.last),
          x = to.in[0], y = to.out](const Place& at) { slice_axes(at, axes, first, last, x, y); };
}

Launch bind(const ops::SliceGrad& op, const DualBound& to) {
  return [axes = axes_of(op.of), first = static_cast<int>(op.of.first),
          last = static_cast<int>(op.of.last), dy = to.in[0], dx = to.out, add = to.accumulate](
             const Place& at) { slice_axes_grad(at, axes, first, last, dy, dx, add); };
}

Launch bind(const ops::Dropout& op, const DualBound& to) {
  return
      [of = DualMask{op.rate, op.scale, op.scalar}, stream = op.stream, by_epoch = op.redraw_epoch,
       feed = to.feed, x = to.in[0], y = to.out, add = to.accumulate](const Place& at) {
        dropout(at, {feed->seed, stream, by_epoch}, of, x, y, add);
      };
}

Launch bind(const ops::AlphaDropout& op, const DualBound& to) {
  const DualShift of{op.rate, op.scale, op.shift, op.scale * op.kLow + op.shift};
  return [=, stream = op.stream, feed = to.feed, x = to.in[0], y = to.out](const Place& at) {
    alpha_dropout(at, {feed->seed, stream, false}, of, x, y);
  };
}

Launch bind(const ops::GaussianNoise& op, const DualBound& to) {
  return [std = op.std, stream = op.stream, feed = to.feed, x = to.in[0],
          y = to.out](const Place& at) { add_noise(at, {feed->seed, stream, false}, std, x, y); };
}

Launch bind(const ops::PReLU& op, const DualBound& to) {
  return [slopes = to.parameters[0], channels = static_cast<int>(op.channels), x = to.in[0],
          y = to.out](const Place& at) { prelu(at, slopes, channels, x, y); };
}

Launch bind(const ops::PReLUGrad& op, const DualBound& to) {
  return [slopes = to.parameters[0], channels = static_cast<int>(op.channels), dy = to.in[0],
          x = to.in[1], dx = to.out, add = to.accumulate](const Place& at) {
    prelu_grad(at, slopes, channels, dy, x, dx, add);
  };
}

Launch bind(const ops::PReLUShares&, const DualBound& to) {
  return [dy = to.in[0], x = to.in[1], out = to.out](const Place& at) {
    prelu_shares(at, dy, x, out);
  };
}

Launch bind(const ops::Maxout& op, const DualBound& to) {
  return [pieces = static_cast<int>(op.pieces), x = to.in[0], y = to.out](const Place& at) {
    maxout(at, pieces, x, y);
  };
}

Launch bind(const ops::MaxoutGrad& op, const DualBound& to) {
  return
      [pieces = static_cast<int>(op.pieces), dy = to.in[0], x = to.in[1], y = to.in[2], dx = to.out,
       add = to.accumulate](const Place& at) { maxout_grad(at, pieces, dy, x, y, dx, add); };
}

}  // namespace steep::cuda
