// Threads share the vector in equal parts; the rest of a lane is stepped on a padded copy.
#include "cpu/sweep.h"

#include <algorithm>
#include <atomic>

#include "cpu/threads.h"
#include "session/network.h"

namespace steep {

namespace {
constexpr double kFlopsPerElement = 20;
}

template <class T>
Sweep<T>::Sweep(int rule, const T* start, long n)
    : k_(kernels<T>()), rule_(rule), n_(n),
      // Off the 4 KiB grid by an odd number of lines, so that columns do not share cache sets.
      stride_((n * static_cast<long>(sizeof(T)) / 4096 + 1) * 4096 / static_cast<long>(sizeof(T)) +
              5 * kLane),
      block_(static_cast<std::size_t>(stride_) * (1 + this->rule().slots.size()) * sizeof(T)) {
  std::copy_n(start, n, column(0));
}

template <class T> void Sweep<T>::weights(T* out) const {
  if (rule().look_ahead) {
    k_.look_back(point(), slot(rule().slot("v")), out, n_, look_);
  } else {
    std::copy_n(point(), n_, out);
  }
}

template <class T> bool Sweep<T>::step(const T* gradient, const double* knobs, T scale, T decay) {
  T row[32];
  for (std::size_t i = 0; i < rule().knobs.size(); ++i) row[i] = static_cast<T>(knobs[i]);
  const auto sweep = [&](const T* g, long from, long n) {
    UpdateArgs<T> a{};
    a.w = column(0) + from;
    a.g = g;
    for (std::size_t i = 0; i < rule().slots.size(); ++i) {
      a.slots[i] = column(1 + static_cast<int>(i)) + from;
    }
    a.n = n;
    a.knobs = row;
    a.scale = scale;
    a.decay = decay;
    return k_.update[rule_](a);
  };
  const long lanes = n_ / kLane;
  std::atomic<bool> finite{true};
  pool().run(threads_for(kFlopsPerElement * static_cast<double>(n_)), [&](int thread, int threads) {
    const long from = lanes * thread / threads * kLane, to = lanes * (thread + 1) / threads * kLane;
    if (from < to && !sweep(gradient + from, from, to - from)) finite = false;
  });
  if (const long rest = n_ - lanes * kLane; rest > 0) {
    alignas(64) T g[kLane] = {};
    std::copy_n(gradient + lanes * kLane, rest, g);
    if (!sweep(g, lanes * kLane, kLane)) finite = false;
  }
  if (rule().look_ahead) look_ = row[rule().knob("look_next")];
  return finite;
}

template class Sweep<float>;
template class Sweep<double>;

}  // namespace steep
