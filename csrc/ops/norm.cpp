// Shape, lowering and gradient of batch normalisation.
#include "ops/norm.h"

#include "ops/steps.h"

namespace steep::ops {

Shape BatchNorm::shape(const Given& given) {
  channels = given.shape().back();
  pixels = given.width() / channels;
  for (std::size_t i = 0; i < kParameters.size(); ++i) {
    given.expect_vector(i, "batch normalisation expects parameters of shape", channels);
  }
  if (!(momentum >= 0 && momentum <= 1)) {
    given.refuse("momentum must be in [0, 1], got ", momentum);
  }
  if (!(eps > 0)) given.refuse("eps must be positive, got ", eps);
  if (group < 0) given.refuse("virtual_batch must be at least 1, or 0 for none, got ", group);
  return given.shape();
}

// By the statistics of the batch; once trained, or where it is frozen, by the running ones.
void BatchNorm::lower(Lowering& to, Op& op) const {
  const int weight = op.parameter(0), mean = op.parameter(2), variance = op.parameter(3);
  const long width = 4 * padded(channels);
  if (!to.training() || to.frozen(mean) || to.frozen(variance)) {
    BatchNorm frozen = *this;
    frozen.group = 0;
    frozen.by_running = true;
    op.what = frozen;
    op.in.push_back(
        to.first({.what = FrozenStatistics{frozen}, .parameters = {weight, mean, variance}},
                 {.width = width, .samples = kAllSamples}));
    return;
  }
  BatchStatistics statistics{*this};
  statistics.followed = to.moves(mean);
  const int moments =
      to.step({.what = BatchMoments{*this}, .in = {op.in[0]}}, {.width = 2 * padded(channels)});
  op.in.push_back(
      to.step({.what = statistics, .in = {moments}, .parameters = {weight, mean, variance}},
              {.width = width, .samples = samples()}));
}

void BatchNorm::gradient(Gradients& to, const Op& op) const {
  const int dz = to.before(f), x = op.in[0], statistics = op.in[1];
  if (op.in.size() > 2) to.share(2, dz);
  const long width = 2 * padded(channels);
  const int sums =
      to.step({.what = BatchNormSums{*this}, .in = {dz, x, statistics}}, {.width = width});
  to.term(op.parameter(1), {GradTerm::Form::Sum, -1, sums});
  to.term(op.parameter(0), {GradTerm::Form::Sum, -1, sums, true});
  if (!to.wanted(0)) return;
  if (by_running) {
    to.give(0, {.what = BatchNormGrad{*this}, .in = {dz, x, statistics}});
    return;
  }
  const int means = to.step({.what = BatchNormGradients{*this}, .in = {sums, statistics}},
                            {.width = width, .samples = samples()});
  to.give(0, {.what = BatchNormGrad{*this}, .in = {dz, x, statistics, means}});
}

int summed(Gradients& to, int tensor, long positions, long channels) {
  if (positions == 1) return tensor;
  return to.step({.what = SumPixels{positions, channels}, .in = {tensor}}, {.width = channels});
}

}  // namespace steep::ops
