// Draws, gates, and rows that steps leave to each other, in dual numbers.
#include "cuda/ops/tangent.h"

namespace steep::cuda {

namespace {

Drawn drawn(const Feed* feed, uint32_t stream) { return {feed->seed, stream, false}; }

Launch slopes(const ops::Sloping& op, const DualBound& to, const Duals& dy, const Duals& x) {
  return [=, lower = op.low, range = (op.high - op.low) * 0x1p-32, stream = op.stream,
          feed = to.feed, out = to.out, add = to.accumulate](const Place& at) {
    random_slopes(at, drawn(feed, stream), lower, range, dy, x, out, add);
  };
}

// In place of what is not drawn.
Launch constant(double value, const DualBound& to) {
  return [=, out = to.out](const Place& at) { fill(at, value, out); };
}

}  // namespace

Launch bind(const ops::GLU& op, const DualBound& to) {
  return [f = op.activation.index, alpha = op.alpha, channels = static_cast<int>(op.channels),
          x = to.in[0], y = to.out](const Place& at) { glu(at, f, alpha, channels, x, y); };
}

Launch bind(const ops::GLUGrad& op, const DualBound& to) {
  return [f = op.activation.index, alpha = op.alpha, channels = static_cast<int>(op.channels),
          dy = to.in[0], x = to.in[1], dx = to.out, add = to.accumulate](const Place& at) {
    glu_grad(at, f, alpha, channels, dy, x, dx, add);
  };
}

Launch bind(const ops::RReLU& op, const DualBound& to) {
  return slopes(op, to, to.in[0], to.in[0]);
}
Launch bind(const ops::RReLUGrad& op, const DualBound& to) {
  return slopes(op, to, to.in[0], to.in[1]);
}

Launch bind(const ops::StepDropout& op, const DualBound& to) {
  return [rate = op.rate, positions = static_cast<int>(op.positions), stream = op.stream,
          feed = to.feed, x = to.in[0], y = to.out, add = to.accumulate](const Place& at) {
    step_dropout(at, drawn(feed, stream), rate, positions, x, y, add);
  };
}

Launch bind(const ops::NormalLike& op, const DualBound& to) {
  if (!op.drawn) return constant(0, to);
  return [stream = op.stream, feed = to.feed, out = to.out](const Place& at) {
    normal(at, drawn(feed, stream), out);
  };
}

Launch bind(const ops::UniformLike& op, const DualBound& to) {
  if (!op.drawn) return constant(op.low + (op.high - op.low) / 2, to);
  return [low = op.low, high = op.high, stream = op.stream, feed = to.feed,
          out = to.out](const Place& at) { uniform(at, drawn(feed, stream), low, high, out); };
}

Launch bind(const ops::Bernoulli& op, const DualBound& to) {
  return [stream = op.stream, feed = to.feed, p = to.in[0], out = to.out](const Place& at) {
    bernoulli(at, drawn(feed, stream), p, out);
  };
}

Launch bind(const ops::Reparameterize& op, const DualBound& to) {
  return
      [stream = op.stream, feed = to.feed, mean = to.in[0], log_variance = to.in[1],
       out = to.out](const Place& at) { sample(at, drawn(feed, stream), mean, log_variance, out); };
}

Launch bind(const ops::ReparameterizeGrad& op, const DualBound& to) {
  return [stream = op.stream, feed = to.feed, dz = to.in[0], log_variance = to.in[1], out = to.out,
          add = to.accumulate](const Place& at) {
    sample_grad(at, drawn(feed, stream), dz, log_variance, out, add);
  };
}

Launch bind(const ops::KeptRows& op, const DualBound& to) {
  if (op.zeros) return constant(0, to);
  const DualStates from{to.parameters[0], static_cast<int>(op.width), static_cast<int>(op.rows),
                        op.restarts};
  return [=, y = to.out](const Place& at) { kept_rows(at, from, y); };
}

// What is kept is so by the pass in floats.
Launch bind(const ops::KeepRows&, const DualBound& to) {
  return [all = Columns{0, 0, to.out.columns, 1}, x = to.in[0], y = to.out](const Place& at) {
    copy_columns(at, all, x, y, false);
  };
}

}  // namespace steep::cuda
