// One update rule over one flat vector: threads share it in equal parts; the rest of a lane is stepped on
// a padded copy.
#include <algorithm>
#include <array>
#include <atomic>
#include <vector>

#include "cpu.h"
#include "cpu/kernels.h"
#include "cpu/newton_schulz.h"
#include "cpu/store.h"
#include "cpu/threads.h"
#include "plan/rules.h"

namespace steep {

namespace {

constexpr double kFlopsPerElement = 20;
constexpr long kStretch = 2048;  // elements whose terms are summed at once

// A vector is a matrix of one row.
template <class T>
void make_orthogonal(std::vector<T>& u, long size, double squares, const RuleInfo& info,
                     const double* knobs) {
  const auto of = [&](const char* name) { return knobs[info.knob(name)]; };
  T* const matrix = u.data();
  const double square = std::max(squares, of("least_length") * of("least_length"));
  const Quintic quintic{of("a"), of("b"), of("c"), static_cast<int>(of("ns_steps")), of("eps")};
  NewtonSchulz<T> native({Panels{1, size}});
  pool().run(threads_for(native.flops(quintic.steps)), [&](int thread, int threads) {
    native.run(&matrix, &square, quintic, thread, threads);
  });
}

template <class T>
bool sweep(const CpuStore<T>& columns, int rule, const T* gradient, const double* knobs, T scale,
           T decay) {
  T row[32];
  const RuleInfo& info = rule_infos()[rule];
  for (std::size_t i = 0; i < info.knobs.size(); ++i) row[i] = static_cast<T>(knobs[i]);
  const long size = columns.layout().slices[0].columns, lanes = size / kLane;
  const long rest = size - lanes * kLane;
  T factor = 1;
  std::vector<T> u(info.orthogonal ? padded(size) : 0);
  const auto arguments = [&](const T* g, long from, long n) {
    UpdateArgs<T> a{};
    a.w = columns.column(0) + from;
    a.g = g;
    for (int i = 1; i < columns.columns(); ++i) a.slots[i - 1] = columns.column(i) + from;
    a.n = n;
    a.knobs = row;
    a.scale = scale;
    a.decay = decay;
    a.factor = factor;
    a.u = u.data() + from;
    return a;
  };
  const int cores = threads_for(kFlopsPerElement * static_cast<double>(size));
  alignas(64) T last[kLane] = {};
  std::copy_n(gradient + lanes * kLane, rest, last);
  if (info.sums > 0) {  // in stretches that do not depend on the threads
    const long whole = lanes * kLane, stretches = ceil_div(whole, kStretch);
    std::vector<std::array<double, kMaxTerms>> terms(static_cast<std::size_t>(stretches) + 1);
    const auto measure = [&](long stretch, const T* g, long from, long n) {
      kernels<T>().measure[rule](arguments(g, from, n), terms[stretch].data());
    };
    pool().run(cores, [&](int thread, int threads) {
      for (long s = stretches * thread / threads; s < stretches * (thread + 1) / threads; ++s) {
        const long from = s * kStretch;
        measure(s, gradient + from, from, std::min(kStretch, whole - from));
      }
    });
    if (rest > 0) measure(stretches, last, whole, kLane);
    double sums[kMaxTerms] = {};
    for (const auto& each : terms) {
      for (int t = 0; t < info.sums; ++t) sums[t] += each[static_cast<std::size_t>(t)];
    }
    if (info.orthogonal) {
      make_orthogonal(u, size, sums[0], info, knobs);
      scale = 1;
      gradient = u.data();
      std::copy_n(gradient + lanes * kLane, rest, last);
    }
    const Extent extent = columns.layout().slices[0].extent();
    factor = static_cast<T>(kernels<T>().factor[rule](sums, extent, row, decay));
  }
  std::atomic<bool> finite{true};
  const auto step = [&](const T* g, long from, long n) {
    if (!kernels<T>().update[rule](arguments(g, from, n))) finite = false;
  };
  pool().run(cores, [&](int thread, int threads) {
    const long from = lanes * thread / threads * kLane;
    const long to = lanes * (thread + 1) / threads * kLane;
    if (from < to) step(gradient + from, from, to - from);
  });
  if (rest > 0) step(last, lanes * kLane, kLane);
  return finite;
}

template <class T> void look_back(const CpuStore<T>& columns, int v, double look, T* out) {
  const long size = columns.layout().slices[0].columns;
  kernels<T>().look_back(columns.column(0), columns.column(v), out, size, static_cast<T>(look));
}

}  // namespace

bool cpu::sweep(const Store& columns, int rule, const void* gradient, const double* knobs,
                double scale, double decay) {
  return with_type(columns, [&]<class T>(const CpuStore<T>& typed) {
    return steep::sweep(typed, rule, static_cast<const T*>(gradient), knobs, static_cast<T>(scale),
                        static_cast<T>(decay));
  });
}

void cpu::look_back(const Store& columns, int v, double look, void* out) {
  with_type(columns, [&]<class T>(const CpuStore<T>& typed) {
    steep::look_back(typed, v, look, static_cast<T*>(out));
  });
}

}  // namespace steep
