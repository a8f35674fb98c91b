// Inputs, targets and losses of rows. Samples are read in ../gather.cpp, the loops of losses are
// ../kernels/loss.cpp.
#include "ops/ends.h"

#include "cpu/gather.h"
#include "cpu/ops/call.h"
#include "cpu/ops/channels.h"

namespace steep::STEEP_ISA {

template <class T>
void run(const ops::Input& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  if (s.held) return;
  gather_inputs(op, w, s, lo, hi);
  clear_padding(w.out, lo, hi);
  if (w.made) by_channel(*static_cast<const ByChannel<T>*>(w.made), w.out, w.out, false, lo, hi);
}
STEEP_CALL(Input)

namespace {

// Hands the outputs' derivatives out; true where what goes backward is given.
STEEP_HD bool begin(const Probe& probe, const PerRow<Dual>& each, const View<Dual>& z,
                    const View<Dual>& dz, long lo, long hi) {
  const bool given = probe.kind == Probe::kGiven;
  for (long r = lo; r < hi; ++r) {
    for (long c = 0; c < z.columns; ++c) {
      const long i = r * z.columns + c;
      if (probe.outputs) probe.outputs[i] = z.at(r)[c].d;
      if (given && dz.data) dz.at(r)[c] = probe.back ? probe.back[i] : 0.0;
    }
    if (given) each.values[r] = 0;
  }
  if (given && dz.data) clear_padding(dz, lo, hi);
  return given;
}

STEEP_HD void leave_curvature(const View<Dual>& dz, long lo, long hi) {
  for (long r = lo; dz.data && r < hi; ++r)
    for (long c = 0; c < dz.columns; ++c) dz.at(r)[c].v = 0;
}

// A block of positions: what their loss reads, and leaves.
template <class T> struct Block {
  static constexpr long kMost = 256;
  int32_t labels[kMost];
  T weights[kMost];
  double values[kMost], correct[kMost];
  bool counts[kMost];
};

// Rows that lie behind each other, of which kernels would write more than there is, go through padded ones.
template <class T>
void dense_rows(const Work<T>& w, int loss, LossArgs<T> a, T* scratch) {
  if (a.ldz == w.in[0].columns) return w.k->loss[loss](a);  // one position: the row is padded
  if (a.columns % kLane == 0 || a.columns == 1 || (a.labels && a.columns < kLane)) {
    a.dense = true;
    return w.k->loss[loss](a);
  }
  const long width = padded(a.columns), most = padded_rows(a.columns);
  LossArgs<T> part = a;
  part.z = scratch;
  part.dz = a.dz ? scratch : nullptr;
  part.ldz = part.lddz = width;
  for (long r = 0; r < a.rows; r += most) {
    part.rows = a.rows - r < most ? a.rows - r : most;
    for (long i = 0; i < part.rows; ++i)
      __builtin_memcpy(scratch + i * width, a.z + (r + i) * a.ldz, a.columns * sizeof(T));
    part.labels = a.labels ? a.labels + r : nullptr;
    part.target = a.target ? a.target + r * a.ldt : nullptr;
    part.weights = a.weights + r;
    part.values = a.values + r;
    part.correct = a.correct + r;
    w.k->loss[loss](part);
    for (long i = 0; a.dz && i < part.rows; ++i)
      __builtin_memcpy(a.dz + (r + i) * a.lddz, scratch + i * width, a.columns * sizeof(T));
  }
}

// The loss of one sample, position by position; those that do not count leave nothing, whatever is there.
template <class T>
void over_positions(const ops::Loss& op, const Work<T>& w, const Step<T>& s, const PerRow<T>& each,
                    const Positioned& of, long r) {
  const View<T>&z = w.in[0], &dz = w.out;
  const long columns = z.columns / of.each;
  const double share = s.shares[op.term] > 0 ? s.shares[op.term] : 1;
  double loss = 0, hits = 0, weight = 0;
  for (long p = 0; p < of.each; p += Block<T>::kMost) {
    const long left = of.each - p, n = left < Block<T>::kMost ? left : Block<T>::kMost;
    Block<T> b;
    gather_positions(op, each, *w.k, s, r, p, n, b.labels, b.weights);
    long first = n, last = 0;  // those that count lie from first to last
    for (long i = 0; i < n; ++i) {
      b.counts[i] = b.labels[i] >= 0;
      if (!b.counts[i]) b.labels[i] = 0;
      if (b.counts[i]) first = i < first ? i : first, last = i + 1;
    }
    T* const grad = dz.data ? dz.at(r) + p * columns : nullptr;
    if (first >= last) {
      if (grad) __builtin_memset(static_cast<void*>(grad), 0, n * columns * sizeof(T));
      continue;
    }
    dense_rows<T>(w, op.loss,
                  {.z = z.at(r) + (p + first) * columns,
                   .ldz = columns,
                   .columns = columns,
                   .labels = of.labels ? b.labels + first : nullptr,
                   .target = of.labels ? nullptr : each.target.at(r) + (p + first) * columns,
                   .ldt = columns,
                   .weights = b.weights + first,
                   .factor = s.factors[op.term] * T(share),
                   .option = T(op.option),
                   .values = b.values + first,
                   .correct = b.correct + first,
                   .dz = grad ? grad + first * columns : nullptr,
                   .lddz = columns,
                   .rows = last - first},
                  s.scratch);
    for (long i = 0; i < n; ++i) {
      if (b.counts[i]) {
        loss += b.values[i];
        hits += double(plain(b.weights[i])) * b.correct[i];
        weight += double(plain(b.weights[i]));
      } else if (grad) {
        for (long c = 0; c < columns; ++c) grad[i * columns + c] = T(0);
      }
    }
  }
  each.values[r] = share * loss;
  each.correct[r] = weight > 0 ? hits / weight : 0;
}

}  // namespace

template <class T>
void run(const ops::Loss& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const PerRow<T>& each = *static_cast<const PerRow<T>*>(w.made);
  const View<T>&z = w.in[0], &dz = w.out;
  if constexpr (kDual<T>)
    if (s.probe && begin(*s.probe, each, z, dz, lo, hi)) return;
  if (const Positioned of = positioned(op, s); of.each > 0) {
    for (long r = lo; r < hi; ++r) over_positions(op, w, s, each, of, r);
    if (dz.data) clear_padding(dz, lo, hi);
    if constexpr (kDual<T>)
      if (s.probe && s.probe->kind == Probe::kCurvature) leave_curvature(dz, lo, hi);
    return;
  }
  const Gathered is = gather_targets(op, each, *w.k, s, lo, hi);
  w.k->loss[op.loss]({.z = z.at(lo),
                      .ldz = z.ld,
                      .columns = z.columns,
                      .labels = is.labels ? each.labels + lo : nullptr,
                      .target = is.labels ? nullptr : each.target.at(lo),
                      .ldt = each.target.ld,
                      .weights = is.weights ? each.weights + lo : nullptr,
                      .factor = s.factors[op.term],
                      .option = T(op.option),
                      .values = each.values + lo,
                      .correct = each.correct + lo,
                      .dz = dz.data ? dz.at(lo) : nullptr,
                      .lddz = dz.ld,
                      .rows = hi - lo});
  if constexpr (kDual<T>)
    if (s.probe && s.probe->kind == Probe::kCurvature) leave_curvature(dz, lo, hi);
}
STEEP_CALL(Loss)

namespace {

// Which share of logits [first, first + count) of a row is on the side of its target; a NaN never is.
template <class T>
double right_share(const Work<T>& w, long r, long first, long count) {
  const T *const z = w.in[1].at(r) + first, *const t = w.in[2].at(r) + first;
  long hits = 0;
  for (long c = 0; c < count; ++c) hits += z[c] == z[c] && (z[c] > T(0)) == (t[c] > T(0.5));
  return double(hits) / double(count);
}

// A sum whose positions have weights: the mean over samples is that over all positions of the batch.
template <class T>
void over_weights(const ops::MeanLoss& op, const Work<T>& w, const Step<T>& s,
                  const PerRow<T>& each, long positions, long r) {
  constexpr long kMost = 256;
  const View<T>&x = w.in[0], &dx = w.out;
  const long columns = x.columns / positions, judged = w.in[1].columns / positions;
  const double share = s.shares[op.term] > 0 ? s.shares[op.term] : 1;
  const double scale = op.scale * share * double(positions);
  double loss = 0, hits = 0, weight = 0;
  for (long p = 0; p < positions; p += kMost) {
    const long n = positions - p < kMost ? positions - p : kMost;
    T weights[kMost];
    gather_position_weights(op, *w.k, s, r, p, n, weights);
    for (long i = 0; i < n; ++i) {
      const T* const in = x.at(r) + (p + i) * columns;
      T sum = T(0);
      for (long c = 0; c < columns; ++c) sum += in[c];
      const double by = double(plain(weights[i]));
      loss += by * double(plain(sum));
      weight += by;
      if (judged > 0) hits += by * right_share(w, r, (p + i) * judged, judged);
      if (!dx.data) continue;
      const T grad = s.factors[op.term] * weights[i] * T(scale);
      for (long c = 0; c < columns; ++c) dx.at(r)[(p + i) * columns + c] = grad;
    }
  }
  each.values[r] = scale * loss;
  each.correct[r] = weight > 0 ? hits / weight : 0;
}

}  // namespace

template <class T>
void run(const ops::MeanLoss& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const PerRow<T>& each = *static_cast<const PerRow<T>*>(w.made);
  const View<T>&x = w.in[0], &dx = w.out;
  if (const long positions = weighed_positions(op, s); positions > 0) {
    for (long r = lo; r < hi; ++r) over_weights(op, w, s, each, positions, r);
    if (dx.data) clear_padding(dx, lo, hi);
    if constexpr (kDual<T>)
      if (s.probe && s.probe->kind == Probe::kCurvature) leave_curvature(dx, lo, hi);
    return;
  }
  const bool weighted = gather_weights(op, each, s, lo, hi);
  const T scale = T(op.scale);
  for (long r = lo; r < hi; ++r) {
    const T* const in = x.at(r);
    const T weight = weighted ? each.weights[r] : T(1);
    T lane[kLane] = {};
    for (long c = 0; c < x.columns; c += kLane)
      for (long j = 0; j < kLane; ++j) lane[j] += c + j < x.columns ? in[c + j] : T(0);
    each.values[r] = plain(weight) * plain(scale * sum_lanes(lane));
    each.correct[r] = w.in[1].data ? right_share(w, r, 0, w.in[1].columns) : 0;
    if (!dx.data) continue;
    const T grad = s.factors[op.term] * weight * scale;
    for (long c = 0; c < x.columns; ++c) dx.at(r)[c] = grad;
  }
  if (dx.data) clear_padding(dx, lo, hi);
  if constexpr (kDual<T>)
    if (s.probe && s.probe->kind == Probe::kCurvature) leave_curvature(dx, lo, hi);
}
STEEP_CALL(MeanLoss)

}  // namespace steep::STEEP_ISA
