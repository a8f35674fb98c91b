// Attention of heads, and its gradient.
#include "ops/attention.h"

#include <cmath>

#include "cuda/kernels/attention.h"
#include "cuda/ops/bind.h"

namespace steep::cuda {

namespace {

static_assert(kQueriesTogether == ops::Attending::kRows);

Positions positions(const View& x, long first, long step) {
  return {x.data + first, x.ld, static_cast<int>(step)};
}

// Of an op whose inputs from `first` on are Q, K, V and the lengths; its seed is the batch's.
Heads heads_of(const ops::Attending& op, const Bound& to, std::size_t first) {
  const ops::Attending::Places of = op.places();
  return {static_cast<int>(op.heads),
          static_cast<int>(op.head()),
          static_cast<int>(op.queries),
          static_cast<int>(op.keys),
          positions(to.in[first], of.q, of.own),
          positions(to.in[first + 1], of.k, of.theirs),
          positions(to.in[first + 2], of.v, of.theirs),
          op.masked ? to.in[first + 3] : View{},
          1.0f / std::sqrt(static_cast<float>(op.head())),
          op.causal,
          op.training && op.rate > 0,
          {0, op.stream, false},
          static_cast<uint32_t>(std::llround(op.rate * 4294967296.0)),
          static_cast<float>(1 / (1 - op.rate))};
}

Slopes slopes_of(const ops::Attending& op, const View& out) {
  const ops::Attending::Places of = op.gradient_places();
  return {positions(out, of.q, of.own), positions(out, of.k, of.theirs),
          positions(out, of.v, of.theirs)};
}

Launch attending(const ops::Attending& op, const Bound& to) {
  return [heads = heads_of(op, to, 0), feed = to.feed,
          y = positions(to.out, 0, op.width)](const Place& at) {
    Heads of = heads;
    of.drawn.seed = feed->seed;
    attend(at, of, y);
  };
}

}  // namespace

Launch bind(const ops::Attention& op, const Bound& to) { return attending(op, to); }
Launch bind(const ops::MaskedAttention& op, const Bound& to) { return attending(op, to); }

Launch bind(const ops::AttentionGrad& op, const Bound& to) {
  return [heads = heads_of(op, to, 1), feed = to.feed, dy = positions(to.in[0], 0, op.width),
          notes = to.before, slopes = slopes_of(op, to.out), add = to.accumulate](const Place& at) {
    Heads of = heads;
    of.drawn.seed = feed->seed;
    attend_back(at, of, dy, notes, slopes, add);
  };
}

}  // namespace steep::cuda
