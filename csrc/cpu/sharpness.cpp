// Gradients of a step that goes in parts; and to the point uphill, where sharpness-aware minimisation takes
// the gradient, and back.
#include <algorithm>
#include <cmath>

#include "cpu/threads.h"
#include "cpu/update.h"

namespace steep {

template <class T> void Update<T>::collect(Share share, long rows, bool add) const {
  for (std::size_t i = share.first; i < share.last; ++i) {
    const GradTask<T>& task = plan_.tasks()[i];
    T* const g = gradients_ + task.offset;
    if (add) {
      plan_.add_gradient(task, rows, g);
    } else {
      plan_.gradient(task, rows, g);
    }
  }
}

template <class T>
bool Update<T>::climb(Share share, const Knobs& knobs, T* kept, int threads) const {
  const auto& tasks = plan_.tasks();
  for (std::size_t i = share.first; i < share.last; ++i) {
    const T *g = gradients_ + tasks[i].offset, *w = w_ + tasks[i].offset;
    double sum = 0;
    for (long j = 0; j < tasks[i].size; ++j) {
      const double x = static_cast<double>(adaptive_ ? w[j] * g[j] : g[j]);
      sum += x * x;
    }
    sums_[i].squares = sum;
  }
  if (threads > 1) pool().meet();
  double sum = 0;
  for (std::size_t i = 0; i < tasks.size(); ++i) sum += sums_[i].squares;
  if (!std::isfinite(sum)) return false;
  const double length = std::sqrt(sum);
  const T rate = length > 0 ? static_cast<T>(knobs.shared(kSharpness) / length) : T(0);
  for (std::size_t i = share.first; i < share.last; ++i) {
    const T* const g = gradients_ + tasks[i].offset;
    T *const w = w_ + tasks[i].offset, *const was = kept + tasks[i].offset;
    for (long j = 0; j < tasks[i].size; ++j) {
      was[j] = w[j];
      w[j] += rate * (adaptive_ ? w[j] * w[j] * g[j] : g[j]);
    }
  }
  return true;
}

template <class T> void Update<T>::come_back(Share share, const T* kept) const {
  for (std::size_t i = share.first; i < share.last; ++i) {
    const GradTask<T>& task = plan_.tasks()[i];
    std::copy_n(kept + task.offset, task.size, w_ + task.offset);
  }
}

#define STEEP_SHARPNESS(T)                                            \
  template void Update<T>::collect(Share, long, bool) const;          \
  template bool Update<T>::climb(Share, const Knobs&, T*, int) const; \
  template void Update<T>::come_back(Share, const T*) const;
STEEP_SHARPNESS(float)
STEEP_SHARPNESS(double)
#undef STEEP_SHARPNESS

}  // namespace steep
