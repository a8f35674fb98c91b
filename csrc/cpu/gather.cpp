// Walks the rows of a batch, asking for samples ahead.
#include "cpu/gather.h"

#include <algorithm>

#include "cpu/read.h"
#include "data/batcher.h"

namespace steep {

template <class T>
void gather_inputs(const ops::Input& op, const Work<T>& work, const Step<T>& s, long lo, long hi) {
  const Dataset& data = s.batcher->data();
  const Source& source = data.inputs[op.number];
  const T scale = static_cast<T>(op.scale), shift = static_cast<T>(op.shift);
  // Shuffled samples lie anywhere: without asking ahead each would cost a memory latency.
  constexpr long kAhead = 8;
  for (long r = lo; r < std::min(hi, lo + kAhead); ++r) prefetch_sample(source, s.order[r]);
  for (long r = lo; r < hi; ++r) {
    if (r + kAhead < hi) prefetch_sample(source, s.order[r + kAhead]);
    if (data.augment) {
      const Change change = draw_change(*data.augment, s.seed, s.epoch, s.order[r]);
      read_augmented(*work.k, *data.augment, change, s.order[r], work.out.at(r), scale, shift);
    } else {
      read_sample(*work.k, source, s.order[r], work.out.at(r), scale, shift);
    }
  }
}

template <class T>
Gathered gather_targets(const PerRow<T>& to, const Kernels<T>& k, const Step<T>& s, long lo,
                        long hi) {
  const Dataset& data = s.batcher->data();
  for (long r = lo; r < hi; ++r) {
    if (data.labels != nullptr) {
      to.labels[r] = data.labels[s.order[r]];
    } else {
      read_sample(k, data.targets, s.order[r], to.target.at(r), T(1), T(0));
    }
    if (data.weights != nullptr) to.weights[r] = static_cast<T>(data.weights[s.order[r]]);
  }
  return {data.labels != nullptr, data.weights != nullptr};
}

#define STEEP_GATHER(T)                                                                       \
  template void gather_inputs(const ops::Input&, const Work<T>&, const Step<T>&, long, long); \
  template Gathered gather_targets(const PerRow<T>&, const Kernels<T>&, const Step<T>&, long, long);
STEEP_GATHER(float)
STEEP_GATHER(double)
#undef STEEP_GATHER

}  // namespace steep
