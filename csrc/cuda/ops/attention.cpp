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
  const long d = op.width, k = op.tensors == 1 ? d : 0, v = k + (op.tensors == 3 ? 0 : d);
  const long own = op.tensors == 1 ? 3 * d : d, theirs = op.tensors == 3 ? d : (4 - op.tensors) * d;
  return {static_cast<int>(op.heads),
          static_cast<int>(op.head()),
          static_cast<int>(op.queries),
          static_cast<int>(op.keys),
          positions(to.in[first], 0, own),
          positions(to.in[first + 1], k, theirs),
          positions(to.in[first + 2], v, theirs),
          op.masked ? to.in[first + 3] : View{},
          1.0f / std::sqrt(static_cast<float>(op.head())),
          op.causal,
          op.training && op.rate > 0,
          {0, op.stream, false},
          static_cast<uint32_t>(std::llround(op.rate * 4294967296.0)),
          static_cast<float>(1 / (1 - op.rate))};
}

// Where the gradients lie: of one tensor as in it, of others one tensor after the other.
Slopes slopes_of(const ops::Attending& op, const View& out) {
  const long d = op.width, others = op.queries * d;
  if (op.tensors == 1) {
    return {positions(out, 0, 3 * d), positions(out, d, 3 * d), positions(out, 2 * d, 3 * d)};
  }
  if (op.tensors == 2) {
    return {positions(out, 0, d), positions(out, others, 2 * d), positions(out, others + d, 2 * d)};
  }
  return {positions(out, 0, d), positions(out, others, d), positions(out, others + op.keys * d, d)};
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
