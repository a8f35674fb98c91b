// Inputs and losses of rows. Samples are read in ../gather.cpp, the loops of losses are
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

template <class T>
void run(const ops::Loss& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const PerRow<T>& each = *static_cast<const PerRow<T>*>(w.made);
  const Gathered is = gather_targets(each, *w.k, s, lo, hi);
  const View<T>&z = w.in[0], &dz = w.out;
  w.k->loss[op.loss]({.z = z.at(lo),
                      .ldz = z.ld,
                      .columns = z.columns,
                      .labels = is.labels ? each.labels + lo : nullptr,
                      .target = is.labels ? nullptr : each.target.at(lo),
                      .ldt = each.target.ld,
                      .weights = is.weights ? each.weights + lo : nullptr,
                      .factor = s.factor,
                      .option = T(op.option),
                      .values = each.values + lo,
                      .correct = each.correct + lo,
                      .dz = dz.data ? dz.at(lo) : nullptr,
                      .lddz = dz.ld,
                      .rows = hi - lo});
}
STEEP_CALL(Loss)

}  // namespace steep::STEEP_ISA
