// Ops that draw numbers, rows that steps leave to each other, and gates.
#include <cmath>

#include "cuda/ops/bind.h"

namespace steep::cuda {

namespace {

Launch slopes(const ops::Sloping& op, const Bound& to, const View& dy, const View& x) {
  const float lower = static_cast<float>(op.low);
  const float range = static_cast<float>((op.high - op.low) * 0x1p-32);
  return
      [=, stream = op.stream, feed = to.feed, out = to.out, add = to.accumulate](const Place& at) {
        random_slopes(at, {feed->seed, stream, false}, lower, range, dy, x, out, add);
      };
}

Launch normal(const ops::Drawing& op, const Bound& to, Noise kind, float std, const View& x,
              const View& v) {
  return
      [=, stream = op.stream, feed = to.feed, out = to.out, add = to.accumulate](const Place& at) {
        noise(at, {feed->seed, stream, false}, kind, std, x, v, out, add);
      };
}

// In place of what is not drawn.
Launch constant(double value, const Bound& to) {
  return
      [value = static_cast<float>(value), out = to.out](const Place& at) { fill(at, value, out); };
}

States states_of(const ops::Kept& op, const Bound& to, bool restarts) {
  return {to.parameters[0], static_cast<int>(op.width), static_cast<int>(op.rows), restarts};
}

}  // namespace

Launch bind(const ops::NormalLike& op, const Bound& to) {
  return op.drawn ? normal(op, to, Noise::kNormal, 0, {}, {}) : constant(0, to);
}

Launch bind(const ops::UniformLike& op, const Bound& to) {
  if (!op.drawn) return constant(op.low + (op.high - op.low) / 2, to);
  return [low = static_cast<float>(op.low), range = static_cast<float>(op.high - op.low),
          high = static_cast<float>(op.high), stream = op.stream, feed = to.feed, out = to.out](
             const Place& at) { uniform(at, {feed->seed, stream, false}, low, range, high, out); };
}

Launch bind(const ops::Bernoulli& op, const Bound& to) {
  return [stream = op.stream, feed = to.feed, p = to.in[0], out = to.out](const Place& at) {
    bernoulli(at, {feed->seed, stream, false}, p, out);
  };
}

Launch bind(const ops::GaussianNoise& op, const Bound& to) {
  return normal(op, to, Noise::kAdded, static_cast<float>(op.std), to.in[0], {});
}

Launch bind(const ops::Reparameterize& op, const Bound& to) {
  return normal(op, to, Noise::kSampled, 0, to.in[0], to.in[1]);
}

Launch bind(const ops::ReparameterizeGrad& op, const Bound& to) {
  return normal(op, to, Noise::kSampledGrad, 0, to.in[0], to.in[1]);
}

Launch bind(const ops::KeptRows& op, const Bound& to) {
  if (op.zeros) return constant(0, to);
  return [from = states_of(op, to, op.restarts), y = to.out](const Place& at) {
    kept_rows(at, from, y);
  };
}

Launch bind(const ops::KeepRows&, const Bound& to) {
  return [all = Columns{0, 0, to.out.columns, 1}, x = to.in[0], y = to.out](const Place& at) {
    copy_columns(at, all, x, y, false);
  };
}

Launch follow(const ops::KeepRows& op, const Bound& to) {
  if (!op.followed) return {};
  return [states = states_of(op, to, false), next = to.out](const Place& at) {
    keep_rows(at, next, states);
  };
}

Launch bind(const ops::Dropout& op, const Bound& to) {
  if (op.scalar >= 0) {
    return [drawn = Drawn{0, op.stream, op.redraw_epoch}, scalar = op.scalar, feed = to.feed,
            x = to.in[0], y = to.out, add = to.accumulate](const Place& at) {
      dropout_of_step(at, {feed->seed, drawn.stream, drawn.by_epoch}, scalar, x, y, add);
    };
  }
  return [threshold = threshold_of(op.rate), scale = static_cast<float>(op.scale),
          stream = op.stream, by_epoch = op.redraw_epoch, feed = to.feed, x = to.in[0], y = to.out,
          add = to.accumulate](const Place& at) {
    dropout(at, {feed->seed, stream, by_epoch}, threshold, scale, x, y, add);
  };
}

Launch bind(const ops::StepDropout& op, const Bound& to) {
  return [threshold = threshold_of(op.rate), scale = static_cast<float>(1 / (1 - op.rate)),
          positions = static_cast<int>(op.positions), stream = op.stream, feed = to.feed,
          x = to.in[0], y = to.out, add = to.accumulate](const Place& at) {
    step_dropout(at, {feed->seed, stream, false}, threshold, scale, positions, x, y, add);
  };
}

Launch bind(const ops::AlphaDropout& op, const Bound& to) {
  const float dropped = static_cast<float>(op.scale * op.kLow + op.shift);
  return [=, threshold = threshold_of(op.rate), scale = static_cast<float>(op.scale),
          shift = static_cast<float>(op.shift), stream = op.stream, feed = to.feed, x = to.in[0],
          y = to.out](const Place& at) {
    alpha_dropout(at, {feed->seed, stream, false}, threshold, scale, shift, dropped, x, y);
  };
}

Launch bind(const ops::RReLU& op, const Bound& to) { return slopes(op, to, to.in[0], to.in[0]); }
Launch bind(const ops::RReLUGrad& op, const Bound& to) {
  return slopes(op, to, to.in[0], to.in[1]);
}

Launch bind(const ops::PReLU& op, const Bound& to) {
  return [row = to.parameters[0], channels = static_cast<int>(op.channels), x = to.in[0],
          y = to.out](const Place& at) { prelu(at, row, channels, x, y); };
}

Launch bind(const ops::PReLUGrad& op, const Bound& to) {
  return [row = to.parameters[0], channels = static_cast<int>(op.channels), dy = to.in[0],
          x = to.in[1], dx = to.out,
          add = to.accumulate](const Place& at) { prelu_grad(at, row, channels, dy, x, dx, add); };
}

Launch bind(const ops::PReLUShares&, const Bound& to) {
  return [dy = to.in[0], x = to.in[1], out = to.out](const Place& at) {
    prelu_shares(at, dy, x, out);
  };
}

Launch bind(const ops::GLU& op, const Bound& to) {
  return [f = static_cast<int>(op.activation), alpha = static_cast<float>(op.alpha),
          channels = static_cast<int>(op.channels), x = to.in[0],
          y = to.out](const Place& at) { glu(at, f, alpha, channels, x, y); };
}

Launch bind(const ops::GLUGrad& op, const Bound& to) {
  return
      [f = static_cast<int>(op.activation), alpha = static_cast<float>(op.alpha),
       channels = static_cast<int>(op.channels), dy = to.in[0], x = to.in[1], dx = to.out,
       add = to.accumulate](const Place& at) { glu_grad(at, f, alpha, channels, dy, x, dx, add); };
}

Launch bind(const ops::Maxout& op, const Bound& to) {
  return [pieces = static_cast<int>(op.pieces), x = to.in[0], y = to.out](const Place& at) {
    maxout(at, pieces, x, y);
  };
}

Launch bind(const ops::MaxoutGrad& op, const Bound& to) {
  return
      [pieces = static_cast<int>(op.pieces), dy = to.in[0], x = to.in[1], y = to.in[2], dx = to.out,
       add = to.accumulate](const Place& at) { maxout_grad(at, pieces, dy, x, y, dx, add); };
}

}  // namespace steep::cuda
