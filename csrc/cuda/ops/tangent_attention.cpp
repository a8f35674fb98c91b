// Attention in dual numbers.
#include "cuda/kernels/tangent_attention.h"

#include <algorithm>

#include "cuda/ops/tangent.h"

namespace steep::cuda {

namespace {

DualPositions positions(const Duals& x, long first, long step) {
  return {x.data + first, x.ld, static_cast<int>(step)};
}

// Of an op whose inputs from `first` on are Q, K, V and the lengths; its seed is the batch's.
DualHeads heads_of(const ops::Attending& op, const DualBound& to, std::size_t first) {
  const ops::Attending::Places of = op.places();
  return {static_cast<int>(op.heads),
          static_cast<int>(op.head()),
          static_cast<int>(op.queries),
          static_cast<int>(op.keys),
          static_cast<int>(op.many()),
          static_cast<int>(ops::Attending::kRows),
          positions(to.in[first], of.q, of.own),
          positions(to.in[first + 1], of.k, of.theirs),
          positions(to.in[first + 2], of.v, of.theirs),
          op.masked ? to.in[first + 3] : Duals{},
          op.causal,
          op.training && op.rate > 0,
          {0, op.stream, false},
          op.rate};
}

DualSlopes slopes_of(const ops::Attending& op, const Duals& out) {
  const ops::Attending::Places of = op.gradient_places();
  return {positions(out, of.q, of.own), positions(out, of.k, of.theirs),
          positions(out, of.v, of.theirs)};
}

long probabilities(const ops::Attending& op, long rows) {
  const long each = op.queries * op.many();
  return each * std::min(rows * op.heads, std::max(1L, kDualRoom / each));
}

Launch attending(const ops::Attending& op, const DualBound& to) {
  return [heads = heads_of(op, to, 0), feed = to.feed, room = to.room,
          y = positions(to.out, 0, op.width)](const Place& at) {
    DualHeads of = heads;
    of.drawn.seed = feed->seed;
    attend(at, of, room, y);
  };
}

}  // namespace

long room(const ops::Attention& op, long rows) { return probabilities(op, rows); }
long room(const ops::MaskedAttention& op, long rows) { return probabilities(op, rows); }
long room(const ops::AttentionGrad& op, long rows) { return 2 * probabilities(op, rows); }

Launch bind(const ops::Attention& op, const DualBound& to) { return attending(op, to); }
Launch bind(const ops::MaskedAttention& op, const DualBound& to) { return attending(op, to); }

Launch bind(const ops::AttentionGrad& op, const DualBound& to) {
  return [heads = heads_of(op, to, 1), feed = to.feed, room = to.room,
          dy = positions(to.in[0], 0, op.width), slopes = slopes_of(op, to.out),
          add = to.accumulate](const Place& at) {
    DualHeads of = heads;
    of.drawn.seed = feed->seed;
    attend_back(at, of, room, dy, slopes, add);
  };
}

}  // namespace steep::cuda
