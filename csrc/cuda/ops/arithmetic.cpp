// Quotients, powers, bounds, the larger of two; sums, repetitions and ranges along axes.
#include "cuda/ops/bind.h"

namespace steep::cuda {

namespace {

Launch pair(Pair how, const Bound& to) {
  return [=, a = to.in[0], b = to.in[1], y = to.out, add = to.accumulate](const Place& at) {
    combine(at, how, a, b, y, add);
  };
}

template <class A> Axes axes_of(const A& op) {
  return {static_cast<int>(op.outer), static_cast<int>(op.n), static_cast<int>(op.inner)};
}

}  // namespace

Launch bind(const ops::Add&, const Bound& to) { return pair(Pair::kAdd, to); }
Launch bind(const ops::Subtract&, const Bound& to) { return pair(Pair::kSubtract, to); }
Launch bind(const ops::Multiply&, const Bound& to) { return pair(Pair::kMultiply, to); }
Launch bind(const ops::Divide&, const Bound& to) { return pair(Pair::kDivide, to); }
Launch bind(const ops::Maximum&, const Bound& to) { return pair(Pair::kMaximum, to); }
Launch bind(const ops::Minimum&, const Bound& to) { return pair(Pair::kMinimum, to); }

Launch bind(const ops::DivideGrad&, const Bound& to) {
  return [dy = to.in[0], y = to.in[1], b = to.in[2], out = to.out,
          add = to.accumulate](const Place& at) { divide_grad(at, dy, y, b, out, add); };
}

Launch bind(const ops::Power& op, const Bound& to) {
  return [exponent = op.exponent, x = to.in[0], y = to.out](const Place& at) {
    power(at, exponent, x, y);
  };
}

Launch bind(const ops::PowerGrad& op, const Bound& to) {
  return [exponent = op.exponent, dy = to.in[0], x = to.in[1], dx = to.out,
          add = to.accumulate](const Place& at) { power_grad(at, exponent, dy, x, dx, add); };
}

Launch bind(const ops::Clip& op, const Bound& to) {
  return [low = static_cast<float>(op.low), high = static_cast<float>(op.high), x = to.in[0],
          y = to.out](const Place& at) { keep_within(at, low, high, x, y); };
}

Launch bind(const ops::ClipGrad& op, const Bound& to) {
  return [low = static_cast<float>(op.low), high = static_cast<float>(op.high), dy = to.in[0],
          x = to.in[1], dx = to.out, add = to.accumulate](const Place& at) {
    keep_within_grad(at, low, high, dy, x, dx, add);
  };
}

Launch bind(const ops::WhereLarger&, const Bound& to) {
  return [a = to.in[0], b = to.in[1], d = to.in[2], y = to.out,
          add = to.accumulate](const Place& at) { where_larger(at, a, b, d, y, add); };
}

Launch bind(const ops::Sum& op, const Bound& to) {
  return [axes = axes_of(op), scale = static_cast<float>(op.scale), x = to.in[0], y = to.out,
          add = to.accumulate](const Place& at) { sum_axes(at, axes, scale, x, y, add); };
}

Launch bind(const ops::Repeat& op, const Bound& to) {
  return [axes = axes_of(op), scale = static_cast<float>(op.scale), x = to.in[0], y = to.out,
          add = to.accumulate](const Place& at) { repeat_axes(at, axes, scale, x, y, add); };
}

Launch bind(const ops::Slice& op, const Bound& to) {
  return [axes = axes_of(op), first = static_cast<int>(op.first), last = static_cast<int>(op.last),
          x = to.in[0], y = to.out](const Place& at) { slice_axes(at, axes, first, last, x, y); };
}

Launch bind(const ops::SliceGrad& op, const Bound& to) {
  return [axes = axes_of(op.of), first = static_cast<int>(op.of.first),
          last = static_cast<int>(op.of.last), dy = to.in[0], dx = to.out, add = to.accumulate](
             const Place& at) { slice_axes_grad(at, axes, first, last, dy, dx, add); };
}

}  // namespace steep::cuda
