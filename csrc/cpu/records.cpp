// What recorded steps measure of parameters: each task sums its part while its block is in cache, and the parts
// are added in their order.
#include <cmath>
#include <limits>

#include "base/dual.h"
#include "cpu/record_kernels.h"
#include "cpu/threads.h"
#include "cpu/update.h"

namespace steep {

// Finishes a gradient and returns its squares, with those before single elements were limited noted. Clipping
// goes by the ones that are found without a record, to the bit.
template <class T>
double Update<T>::measured_finish(std::size_t i, T* g, const Knobs& knobs, bool clips) const {
  const GradTask<T>& task = plan_.tasks()[i];
  const Ruled<T>& r = ruled_[task.parameter];
  TaskNorms& norms = norms_[i];
  if (knobs.of(r, kClipValue) < kNoLimit) {
    const auto finish = [&](double l1, double l2, double limit) {
      return k_.finish_gradient(g, w_ + task.offset, task.size, static_cast<T>(l1),
                                static_cast<T>(l2), static_cast<T>(limit));
    };
    const double by = r.decays ? 1 : 0;
    norms.gradient = finish(by * knobs.of(r, kL1), by * knobs.of(r, kL2), kNoLimit);
    return norms.clipped = finish(0, 0, knobs.of(r, kClipValue));
  }
  const double squares = plain(r, knobs) && !clips ? record_kernels<T>().squares(g, task.size)
                                                   : finish(task, g, knobs);
  return norms.gradient = norms.clipped = squares;
}

// Of a gradient that the rule takes times `scale`.
template <class T> void Update<T>::measure_clipped(std::size_t i, double scale) const {
  const GradTask<T>& task = plan_.tasks()[i];
  if (scale == 1) return;
  norms_[i].clipped =
      scale * scale * record_kernels<T>().squares(gradients_ + task.offset, task.size);
}

// Of a rule that looks ahead, a block's weights are found from the point.
template <class T>
void Update<T>::find_weights(const GradTask<T>& task, const Knobs& knobs, const char* look,
                             T* out) const {
  const Ruled<T>& r = ruled_[task.parameter];
  k_.look_back(w_ + task.offset, r.slot(r.info->slot("v"), task.offset), out, task.size,
               static_cast<T>(knobs.of(r, look)));
}

// A block's weights before a step, for measure_move.
template <class T>
void Update<T>::keep_block(std::size_t i, const Knobs& knobs, T* before) const {
  const GradTask<T>& task = plan_.tasks()[i];
  const RecordKernels<T>& k = record_kernels<T>();
  if (!ruled_[task.parameter].info->look_ahead) {
    norms_[i].weight = k.keep(w_ + task.offset, task.size, before);
  } else {
    find_weights(task, knobs, "look", before);
    norms_[i].weight = k.squares(before, task.size);
  }
}

template <class T>
void Update<T>::measure_move(std::size_t i, const T* before, const Knobs& knobs) const {
  alignas(64) T block[kLargestTask];
  const GradTask<T>& task = plan_.tasks()[i];
  const T* after = w_ + task.offset;
  if (ruled_[task.parameter].info->look_ahead) {
    find_weights(task, knobs, "look_next", block);
    after = block;
  }
  norms_[i].update = record_kernels<T>().distance(before, after, task.size);
}

// Is a gradient used as it was made, and measured by the sweep that uses it?
template <class T> bool Update<T>::notes_gradient(const Ruled<T>& r, const Knobs& knobs) const {
  return r.simple && plain(r, knobs) && record_kernels<T>().update[r.rule] != nullptr;
}

// A block's new weights, and how far they went; of those that were not measured, its gradient.
template <class T>
bool Update<T>::measured_step(std::size_t i, const UpdateArgs<T>& a, const Knobs& knobs,
                              bool measured) const {
  alignas(64) T block[kLargestTask];
  const GradTask<T>& task = plan_.tasks()[i];
  const Ruled<T>& r = ruled_[task.parameter];
  const auto at_once = record_kernels<T>().update[r.rule];
  if (at_once != nullptr && r.alone && !r.sparse) {
    StepSquares squares;
    const bool finite = at_once(a, block, &squares);
    TaskNorms& norms = norms_[i];
    norms.weight = squares.weight, norms.update = squares.update;
    if (!measured) norms.gradient = norms.clipped = squares.gradient;
    return finite;
  }
  const bool later = r.slice->bound.by_column();
  T* const before = later ? bounded_.get() + task.offset : block;
  keep_block(i, knobs, before);
  const bool finite = move(i, a, knobs);
  if (!later) measure_move(i, before, knobs);
  return finite;
}

// Of parameters whose columns are bounded, once all of them are.
template <class T>
void Update<T>::measure_bounded(Share share, const Knobs& knobs, int threads) const {
  if (threads > 1) pool().meet();
  for (std::size_t i = share.first; i < share.last; ++i) {
    const GradTask<T>& task = plan_.tasks()[i];
    if (!ruled_[task.parameter].slice->bound.by_column()) continue;
    measure_move(i, bounded_.get() + task.offset, knobs);
  }
}

template <class T> void Update<T>::put_norms(double* to) const {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  for (std::size_t p = 0; p < ruled_.size(); ++p, to += kParameterNumbers) {
    TaskNorms sums{};
    const std::size_t first = plan_.first_task(static_cast<int>(p));
    const std::size_t last = plan_.first_task(static_cast<int>(p) + 1);
    for (std::size_t i = first; i < last; ++i) {
      sums.weight += norms_[i].weight;
      sums.gradient += norms_[i].gradient;
      sums.clipped += norms_[i].clipped;
      sums.update += norms_[i].update;
    }
    to[kWeight] = first < last ? std::sqrt(sums.weight) : kNone;
    to[kGradient] = first < last ? std::sqrt(sums.gradient) : kNone;
    to[kClipped] = first < last ? std::sqrt(sums.clipped) : kNone;
    to[kUpdate] = first < last ? std::sqrt(sums.update) : kNone;
  }
}

#define STEEP_RECORDS(T)                                                                        \
  template double Update<T>::measured_finish(std::size_t, T*, const Knobs&, bool) const;        \
  template void Update<T>::measure_clipped(std::size_t, double) const;                          \
  template void Update<T>::keep_block(std::size_t, const Knobs&, T*) const;                     \
  template void Update<T>::measure_move(std::size_t, const T*, const Knobs&) const;             \
  template bool Update<T>::notes_gradient(const Ruled<T>&, const Knobs&) const;                 \
  template bool Update<T>::measured_step(std::size_t, const UpdateArgs<T>&, const Knobs&, bool) \
      const;                                                                                    \
  template void Update<T>::measure_bounded(Share, const Knobs&, int) const;                     \
  template void Update<T>::put_norms(double*) const;
STEEP_RECORDS(float)
STEEP_RECORDS(double)
#undef STEEP_RECORDS

}  // namespace steep
