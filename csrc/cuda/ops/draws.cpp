// Ops that draw numbers, and gates.
#include <cmath>

#include "cuda/ops/bind.h"

namespace steep::cuda {

namespace {

// An element is kept where its word reaches this: probability 1 - rate to 32 bits.
uint32_t threshold_of(double rate) {
  return static_cast<uint32_t>(std::llround(rate * 4294967296.0));
}

Launch slopes(const ops::Sloping& op, const Bound& to, const View& dy, const View& x) {
  const float lower = static_cast<float>(op.low);
  const float range = static_cast<float>((op.high - op.low) * 0x1p-32);
  return
      [=, stream = op.stream, feed = to.feed, out = to.out, add = to.accumulate](const Place& at) {
        random_slopes(at, {feed->deal.seed, stream, false}, lower, range, dy, x, out, add);
      };
}

}  // namespace

Launch bind(const ops::Dropout& op, const Bound& to) {
  return [threshold = threshold_of(op.rate), scale = static_cast<float>(op.scale),
          stream = op.stream, by_epoch = op.redraw_epoch, feed = to.feed, x = to.in[0], y = to.out,
          add = to.accumulate](const Place& at) {
    dropout(at, {feed->deal.seed, stream, by_epoch}, threshold, scale, x, y, add);
  };
}

Launch bind(const ops::AlphaDropout& op, const Bound& to) {
  const float dropped = static_cast<float>(op.scale * op.kLow + op.shift);
  return [=, threshold = threshold_of(op.rate), scale = static_cast<float>(op.scale),
          shift = static_cast<float>(op.shift), stream = op.stream, feed = to.feed, x = to.in[0],
          y = to.out](const Place& at) {
    alpha_dropout(at, {feed->deal.seed, stream, false}, threshold, scale, shift, dropped, x, y);
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
