// Inputs, targets and losses of rows. Samples are read in ../gather.cpp, the loops of losses are
// ../kernels/loss.cpp.
#include "ops/ends.h"

#include "cpu/gather.h"
#include "cpu/ops/call.h"
#include "cpu/ops/channels.h"

namespace steep::STEEP_ISA {

template <class T>
void run(const ops::Input& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
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

}  // namespace

template <class T>
void run(const ops::Loss& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const PerRow<T>& each = *static_cast<const PerRow<T>*>(w.made);
  const View<T>&z = w.in[0], &dz = w.out;
  if constexpr (kDual<T>)
    if (s.probe && begin(*s.probe, each, z, dz, lo, hi)) return;
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

template <class T>
void run(const ops::MeanLoss& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const PerRow<T>& each = *static_cast<const PerRow<T>*>(w.made);
  const View<T>&x = w.in[0], &dx = w.out;
  const bool weighted = gather_weights(op, each, s, lo, hi);
  const T scale = T(op.scale);
  for (long r = lo; r < hi; ++r) {
    const T* const in = x.at(r);
    const T weight = weighted ? each.weights[r] : T(1);
    T lane[kLane] = {};
    for (long c = 0; c < x.columns; c += kLane)
      for (long j = 0; j < kLane; ++j) lane[j] += c + j < x.columns ? in[c + j] : T(0);
    each.values[r] = plain(weight) * plain(scale * sum_lanes(lane));
    each.correct[r] = 0;
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
