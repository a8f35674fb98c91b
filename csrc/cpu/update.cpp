// Both ways to update, block after block or all gradients before the first weight, and the ends of a run.
#include "cpu/update.h"

#include <algorithm>
#include <cmath>

#include "cpu/threads.h"

namespace steep {

namespace {

constexpr double kLeastFactor = 0x1p-60;  // of a gradient that is clipped, in one multiplication
constexpr long kCache = 1L << 20;

void meet(int threads) {
  if (threads > 1) pool().meet();
}

}  // namespace

template <class T>
Update<T>::Update(const Plan<T>& plan, const CpuStore<T>& weights, const CpuStore<T>& slots,
                  const Recipe& recipe, T* gradients, double* squares)
    : plan_(plan), k_(kernels<T>()), info_(rule_infos()[recipe.rule]), rule_(recipe.rule),
      decay_bias_(recipe.decay_bias), large_(weights.bytes() + slots.bytes() > kCache),
      size_(weights.layout().size), column_{weights.column(0)}, gradients_(gradients),
      squares_(squares) {
  for (int i = 0; i < slots.columns(); ++i) column_[columns_++] = slots.column(i);
}

// Calls part(from, n) on all elements, shared by the threads. Through the pool for a single thread, too:
// denormals are treated as in the steps.
template <class T> template <class F> void Update<T>::move(F&& part) const {
  constexpr double kFlopsPerMove = 4;  // of one weight to the point or back
  const long lanes = size_ / kLane;
  pool().run(threads_for(kFlopsPerMove * static_cast<double>(size_)), [&](int thread, int threads) {
    const long from = lanes * thread / threads * kLane, to = lanes * (thread + 1) / threads * kLane;
    part(from, to - from);
  });
}

template <class T> void Update<T>::keep_weights() {
  if (info_.look_ahead) kept_.assign(column_[0], column_[0] + size_);
}

template <class T> void Update<T>::begin(const double* knobs) const {
  if (!info_.look_ahead) return;
  const T look = static_cast<T>(knobs[kCommonKnobs + info_.knob("look")]);
  T *w = column_[0], *v = column_[1 + info_.slot("v")];
  move([&](long from, long n) { k_.look_ahead(w + from, v + from, n, look); });
}

// Outside of a run the weights are w, never the look-ahead point.
template <class T> void Update<T>::end(const double* knobs, long done) const {
  if (!info_.look_ahead) return;
  T *w = column_[0], *v = column_[1 + info_.slot("v")];
  if (done == 0 && !kept_.empty()) {
    std::copy(kept_.begin(), kept_.end(), w);
    return;
  }
  if (done > 0) knobs += (done - 1) * info_.columns();
  const T look = static_cast<T>(knobs[kCommonKnobs + info_.knob(done > 0 ? "look_next" : "look")]);
  move([&](long from, long n) { k_.look_back(w + from, v + from, w + from, n, look); });
}

template <class T> auto Update<T>::share(int thread, int threads) const -> Share {
  const auto& tasks = plan_.tasks();
  long total = 0;
  for (const auto& task : tasks) total += task.size;
  std::size_t first = tasks.size(), last = tasks.size();
  long before = 0;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    // A task belongs to the thread in whose share its middle lies.
    const long owner = (2 * before + tasks[i].size) * threads / (2 * total);
    if (owner >= thread && first == tasks.size()) first = i;
    if (owner > thread) {
      last = i;
      break;
    }
    before += tasks[i].size;
  }
  return {std::min(first, last), last};
}

template <class T>
double Update<T>::finish(const GradTask<T>& task, T* g, const Knobs& knobs) const {
  const bool decay = task.decay || decay_bias_;
  return k_.finish_gradient(
      g, column_[0] + task.offset, task.size, decay ? static_cast<T>(knobs.common[kL1]) : T(0),
      decay ? static_cast<T>(knobs.common[kL2]) : T(0), static_cast<T>(knobs.common[kClipValue]));
}

template <class T>
bool Update<T>::apply(const GradTask<T>& task, const T* g, const Knobs& knobs, T scale) const {
  UpdateArgs<T> a{};
  a.w = column_[0] + task.offset;
  a.g = g;
  for (int i = 1; i < columns_; ++i) a.slots[i - 1] = column_[i] + task.offset;
  a.n = task.size;
  a.knobs = knobs.own;
  a.scale = scale;
  a.decay = task.decay || decay_bias_ ? static_cast<T>(knobs.common[kDecay]) : T(0);
  return k_.update[rule_](a);
}

template <class T>
bool Update<T>::fused(Share share, long rows, const Knobs& knobs, int threads) const {
  alignas(64) T g[kLargestTask];
  const bool plain =
      knobs.common[kL1] == 0 && knobs.common[kL2] == 0 && !(knobs.common[kClipValue] < kNoLimit);
  bool finite = true;
  // Where all stays in cache, the weights may still be in another core's.
  const int asked = large_ ? columns_ : threads > 1 ? 1 : 0;
  for (std::size_t i = share.first; i < share.last; ++i) {
    const GradTask<T>& task = plan_.tasks()[i];
    plan_.gradient(task, rows, g, asked, column_);
    if (!plain) finish(task, g, knobs);
    finite &= apply(task, g, knobs, T(1));
  }
  return finite;
}

// Multiplies the gradients of some tasks, and sums their squares anew.
template <class T> void Update<T>::shrink(Share share, double factor) const {
  const auto& tasks = plan_.tasks();
  for (std::size_t i = share.first; i < share.last; ++i) {
    T* g = gradients_ + tasks[i].offset;
    for (long j = 0; j < tasks[i].size; ++j) g[j] *= static_cast<T>(factor);
  }
}

// Length of the whole gradient, of which squares_ has the parts. Where squares overflow, all of it
// is first made smaller, by `shrunk`.
template <class T> double Update<T>::norm(Share share, int threads, double& shrunk) const {
  const auto total = [&] {
    double sum = 0;
    for (std::size_t i = 0; i < plan_.tasks().size(); ++i) sum += squares_[i];
    return sum;
  };
  meet(threads);
  double sum = total();
  if (sizeof(T) == sizeof(double) && !std::isfinite(sum)) {
    meet(threads);  // everybody has read the squares
    shrunk = 0x1p-600;
    shrink(share, shrunk);
    for (std::size_t i = share.first; i < share.last; ++i) {
      T* g = gradients_ + plan_.tasks()[i].offset;
      squares_[i] =
          k_.finish_gradient(g, g, plan_.tasks()[i].size, T(0), T(0), static_cast<T>(kNoLimit));
    }
    meet(threads);
    sum = total();
  }
  return std::sqrt(sum);
}

template <class T>
bool Update<T>::separate(Share share, long rows, const Knobs& knobs, int thread, int threads,
                         Halt* halt, std::atomic<bool>& halted) const {
  const auto& tasks = plan_.tasks();
  for (std::size_t i = share.first; i < share.last; ++i) {
    if (halt != nullptr && thread == 0) halt->ask();
    if (halt != nullptr && halt->wanted()) break;
    plan_.gradient(tasks[i], rows, gradients_ + tasks[i].offset);
    squares_[i] = finish(tasks[i], gradients_ + tasks[i].offset, knobs);
  }
  if (halt != nullptr && thread == 0 && halt->wanted()) halted = true;
  double shrunk = 1;
  const double length = norm(share, threads, shrunk);
  if (halted) return true;
  if (!std::isfinite(length)) return false;
  // At or below the limit the gradient stays as it is, to the bit.
  const double most = knobs.common[kClipNorm];
  double scale = length > most * shrunk ? most / length : 1 / shrunk;
  if (scale > 0 && scale < kLeastFactor) {  // one factor would be flushed to 0
    shrink(share, kLeastFactor);            // not the squares: others may still be adding them up
    scale /= kLeastFactor;
  }
  bool finite = true;
  for (std::size_t i = share.first; i < share.last; ++i) {
    finite &= apply(tasks[i], gradients_ + tasks[i].offset, knobs, static_cast<T>(scale));
  }
  return finite;
}

template class Update<float>;
template class Update<double>;

}  // namespace steep
