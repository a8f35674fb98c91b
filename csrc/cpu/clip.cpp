// How gradients are clipped together: lengths of single parameters and of all, and what becomes of them.
#include <algorithm>
#include <cmath>

#include "cpu/threads.h"
#include "cpu/update.h"

namespace steep {

namespace {

constexpr double kLeastFactor = 0x1p-60;  // of a gradient that is clipped, in one multiplication

}  // namespace

template <class T> void Update<T>::shrink(const GradTask<T>& task, double factor) const {
  T* g = gradients_ + task.offset;
  for (long j = 0; j < task.size; ++j) g[j] *= static_cast<T>(factor);
}

template <class T> double Update<T>::length(int parameter) const {
  double sum = 0;
  for (std::size_t i = plan_.first_task(parameter); i < plan_.first_task(parameter + 1); ++i) {
    sum += sums_[i].squares;
  }
  return std::sqrt(sum);
}

// The factor of one parameter's own limit. At or below it the gradient stays as it is, to the bit.
template <class T>
double Update<T>::clipped(int parameter, const Knobs& knobs, double shrunk) const {
  const double most = knobs.of(ruled_[parameter], kClipParameter);
  if (!(most < kNoLimit)) return 1;
  const double length = this->length(parameter);
  return length > most * shrunk ? most * shrunk / length : 1;
}

// Length of the whole gradient, of which sums_ has the parts. Where squares overflow, all of it is first
// made smaller.
template <class T>
auto Update<T>::norm(Share share, const Knobs& knobs, int threads) const -> Lengths {
  const auto meet = [threads] {
    if (threads > 1) pool().meet();
  };
  const auto total = [&](double shrunk) {
    const auto& tasks = plan_.tasks();
    double sum = 0, factor = 1;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      const int parameter = tasks[i].parameter;
      if (i == plan_.first_task(parameter)) factor = clipped(parameter, knobs, shrunk);
      sum += factor < 1 ? factor * factor * sums_[i].squares : sums_[i].squares;
    }
    return sum;
  };
  meet();
  double sum = total(1), shrunk = 1;
  if (sizeof(T) == sizeof(double) && !std::isfinite(sum)) {
    meet();  // everybody has read the squares
    shrunk = 0x1p-600;
    for (std::size_t i = share.first; i < share.last; ++i) {
      const GradTask<T>& task = plan_.tasks()[i];
      shrink(task, shrunk);
      T* g = gradients_ + task.offset;
      sums_[i].squares = k_.finish_gradient(g, g, task.size, T(0), T(0), static_cast<T>(kNoLimit));
    }
    meet();
    sum = total(shrunk);
  }
  return {std::sqrt(sum), shrunk};
}

// The factor of each task. One that would be flushed to 0 comes in two parts.
template <class T>
void Update<T>::scale(Share share, const Knobs& knobs, Lengths lengths) const {
  const double most = knobs.shared(kClipNorm), shrunk = lengths.shrunk;
  const double all = lengths.total > most * shrunk ? most / lengths.total : 1 / shrunk;
  double factor = 1;
  int parameter = -1;
  for (std::size_t i = share.first; i < share.last; ++i) {
    const GradTask<T>& task = plan_.tasks()[i];
    if (task.parameter != parameter) {
      parameter = task.parameter;
      factor = all * clipped(parameter, knobs, shrunk);
    }
    double& scale = sums_[i].scale;
    scale = factor;
    if (scale > 0 && scale < kLeastFactor) {
      shrink(task, kLeastFactor);  // not the squares: others may still be adding them up
      scale /= kLeastFactor;
    }
  }
}

#define STEEP_CLIP(T)                                                       \
  template auto Update<T>::norm(Share, const Knobs&, int) const -> Lengths; \
  template void Update<T>::scale(Share, const Knobs&, Lengths) const;
STEEP_CLIP(float)
STEEP_CLIP(double)
#undef STEEP_CLIP

}  // namespace steep
