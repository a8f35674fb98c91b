// Inputs and losses.
#include "cuda/ops/bind.h"

namespace steep::cuda {

Launch bind(const ops::Input& op, const Bound& to) {
  const float scale = static_cast<float>(op.scale), shift = static_cast<float>(op.shift);
  const View out = to.out;
  const Launch read = [=, number = op.number, target = op.target, feed = to.feed,
                       deals = to.deals](const Place& at) {
    gather(at, feed->deal, target ? feed->targets[number] : feed->inputs[number],
           target ? Augmented{} : feed->augmented, scale, shift, out, deals);
  };
  if (op.scales.empty()) return read;
  const float* const scales = to.keep(op.scales);
  const float* const shifts = op.shifts.empty() ? nullptr : to.keep(op.shifts);
  const int period = static_cast<int>(op.scales.size());
  return [=](const Place& at) {
    read(at);
    multiply_row(at, out, scales, period, out, false);
    if (shifts) add_row(at, out, shifts, period, out);
  };
}

Launch bind(const ops::Loss& op, const Bound& to) {
  return [index = op.loss, option = static_cast<float>(op.option), z = to.in[0], dz = to.out,
          term = op.term, out = to.losses, feed = to.feed](const Place& at) {
    loss(at, index, option, z, feed->truths[term], out, dz);
  };
}

Launch bind(const ops::MeanLoss& op, const Bound& to) {
  const bool judges = to.in.size() > 1;
  return [scale = op.scale, x = to.in[0], judged = judges ? to.in[1] : View{},
          sides = judges ? to.in[2] : View{}, dx = to.out, term = op.term, out = to.losses,
          feed = to.feed](const Place& at) {
    mean_loss(at, scale, x, judged, sides, feed->truths[term], out, dx);
  };
}

}  // namespace steep::cuda
