// Runs a plan's calls phase by phase, and looks for where a value stopped being finite.
#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "base/dual.h"
#include "base/error.h"
#include "cpu/deal.h"
#include "cpu/invariants.h"
#include "cpu/plan.h"
#include "cpu/threads.h"

namespace steep {

using portable::plain;

namespace {

// Which samples the rows [lo, hi) are.
template <class T> void deal(const Step<T>& step, long lo, long hi) {
  step.batcher->order(step.epoch, step.batch, step.first, lo, hi, step.order, deal_kernel());
}

}  // namespace

template <class T> void Plan<T>::reserve_threads(int threads) {
  while (static_cast<int>(scratch_.size()) < threads) {
    scratch_.emplace_back(static_cast<std::size_t>(scratch_elements_) * sizeof(T));
  }
}

template <class T>
void Plan<T>::check_output(const BoundCall<T>& call, long lo, long hi) const {
  for (const int tensor : {call.out, call.before}) {
    if (tensor < 0 || buffers_[tensor] == nullptr) continue;
    const long columns = width(tensor);
    for (long r = lo; r < hi; ++r) {
      for (long c = columns; c < padded(columns); ++c) {
        const T value = row(tensor, r)[c];
        if (value == 0) continue;
        return report_broken(text(call.name, ": leaves ", plain(value), " in the padding of row ",
                                  r, ", place ", c, " of ", columns));
      }
    }
  }
}

template <class T>
void Plan<T>::run_phase(const Phase<T>& phase, const Step<T>& step, long lo, long hi, bool found,
                        Watch<T>* watch, int thread) const {
  const long chunks = (hi - lo + phase.chunk - 1) / phase.chunk;
  Halt* const halt = chunks > 1 ? step.halt : nullptr;
  const bool check = checking();
  for (long c = 0; c < chunks; ++c) {
    if (halt != nullptr && step.asks) halt->ask();
    if (halt != nullptr && halt->wanted()) return;
    const long from = lo + (hi - lo) * c / chunks, to = lo + (hi - lo) * (c + 1) / chunks;
    for (const BoundCall<T>& call : phase.calls) {
      if (found && call.found) continue;
      call.run(call.work, step, from, to);
      if (watch != nullptr && call.watched >= 0) {
        watch->note(call.watched, call.work.out, from, to, thread);
      }
      if (check) check_output(call, from, to);
    }
  }
}

template <class T>
void Plan<T>::run_shared(const Phase<T>& phase, const Step<T>& step, int thread, int threads,
                         bool found) const {
  for (const BoundCall<T>& call : phase.calls) {
    if (found && call.found) continue;
    const long lo = call.units * thread / threads, hi = call.units * (thread + 1) / threads;
    if (lo < hi) call.run(call.work, step, lo, hi);
  }
}

template <class T> bool Plan<T>::finite_losses(long lo, long hi) const {
  double sum = 0;
  for (std::size_t t = 0; t < program_.losses.size(); ++t) {
    const double* const values = this->values(t);
    for (long r = lo; r < hi; ++r) sum += values[r] * 0.0;
  }
  return sum == 0;
}

template <class T> Step<T> Plan<T>::own(const Step<T>& step, int thread) const {
  Step<T> mine = step;
  mine.scratch = reinterpret_cast<T*>(scratch_[static_cast<std::size_t>(thread)].data());
  mine.asks = thread == 0;
  return mine;
}

template <class T> bool Plan<T>::run(const Step<T>& common, int thread, int threads, bool found,
                                     Watch<T>* watch) const {
  const Step<T> step = own(common, thread);
  const long lo = step.rows * thread / threads, hi = step.rows * (thread + 1) / threads;
  if (thread == 0 && checking()) check_padding(*weights_, "the weight");
  if (!step.held) {
    deal(step, lo, hi);
  }
  for (std::size_t p = 0; p < phases_.size(); ++p) {
    if (phases_[p].meets && threads > 1) pool().meet();
    if (phases_[p].crosses) {
      run_shared(phases_[p], step, thread, threads, found);
    } else {
      run_phase(phases_[p], step, lo, hi, found, watch, thread);
    }
  }
  return finite_losses(lo, hi) && finite_statistics(step.rows, thread, threads);
}

template <class T> void Plan<T>::prepare(int thread, int threads) const {
  const Step<T> step = own({}, thread);
  for (const Phase<T>& phase : phases_) {
    if (phase.crosses) run_shared(phase, step, thread, threads, false);
  }
  if (threads > 1) pool().meet();
}

template <class T>
bool Plan<T>::run_rows(const Step<T>& common, int thread, long lo, long hi) const {
  const Step<T> step = own(common, thread);
  deal(step, lo, hi);
  for (const Phase<T>& phase : phases_) {
    if (!phase.crosses) run_phase(phase, step, lo, hi, false);
  }
  return finite_losses(lo, hi);
}

namespace {

// What running statistics become: mean and variance of channel c, moved by one group after the other.
template <class T> std::pair<T, T> followed(const Running<T>& r, long rows, long c) {
  const long size = r.of.group > 0 ? std::min(r.of.group, rows) : rows;
  double mean = plain(r.mean[c]), variance = plain(r.variance[c]);
  const auto follow = [&](double& running, double batch) {
    running = r.of.momentum * running + (1 - r.of.momentum) * batch;
  };
  for (long g = 0; g * size < rows; ++g) {
    const double n = static_cast<double>(std::min(size, rows - g * size) * r.of.pixels);
    const double scale = r.of.unbiased && n > 1 ? n / (n - 1) : 1.0;
    follow(mean, plain(r.batch_mean[g * r.ld + c]));
    follow(variance, scale * plain(r.batch_variance[g * r.ld + c]));
  }
  return {static_cast<T>(mean), static_cast<T>(variance)};
}

}  // namespace

// Of this thread's share of the normalisations: their statistics were complete phases ago.
template <class T>
bool Plan<T>::finite_statistics(long rows, int thread, int threads) const {
  for (std::size_t i = thread; i < running_.size(); i += threads) {
    for (long c = 0; c < running_[i].of.channels; ++c) {
      const auto [mean, variance] = followed(running_[i], rows, c);
      if (!std::isfinite(plain(mean)) || !std::isfinite(plain(variance))) return false;
    }
  }
  return true;
}

template <class T> void Plan<T>::follow_statistics(long rows, long first) const {
  for (const Running<T>& r : running_) {
    for (long c = 0; c < r.of.channels; ++c) {
      std::tie(r.mean[c], r.variance[c]) = followed(r, rows, c);
    }
  }
  for (const Iterated<T>& i : iterated_) {
    const long from = i.ld > 0 ? first : 0, end = i.ld > 0 ? std::min(from + rows, i.rows) : 1;
    for (long r = from; r < end; ++r) {
      std::copy_n(i.next + (r - from) * i.ld, i.n, i.parameter + r * i.n);
    }
  }
}

template <class T> std::size_t Plan<T>::statistics() const {
  std::size_t count = 0;
  for (const Running<T>& r : running_) count += 2 * static_cast<std::size_t>(r.of.channels);
  for (const Iterated<T>& i : iterated_) count += static_cast<std::size_t>(i.n * i.rows);
  return count;
}

template <class T> void Plan<T>::keep_statistics(T* kept) const {
  for (const Running<T>& r : running_) {
    kept = std::copy_n(r.variance, r.of.channels, std::copy_n(r.mean, r.of.channels, kept));
  }
  for (const Iterated<T>& i : iterated_) kept = std::copy_n(i.parameter, i.n * i.rows, kept);
}

template <class T> void Plan<T>::put_statistics(const T* kept) const {
  for (const Running<T>& r : running_) {
    for (T* to : {r.mean, r.variance}) {
      std::copy_n(kept, r.of.channels, to);
      kept += r.of.channels;
    }
  }
  for (const Iterated<T>& i : iterated_) {
    std::copy_n(kept, i.n * i.rows, i.parameter);
    kept += i.n * i.rows;
  }
}

// Runs the step again, looking at what each call wrote: later ones may use the same memory.
template <class T>
std::optional<Origin> Plan<T>::first_fault(const Step<T>& common) const {
  const Step<T> step = own(common, 0);
  deal(step, 0, step.rows);
  for (const Phase<T>& phase : phases_) {
    for (std::size_t i = 0; i < phase.calls.size(); ++i) {
      const BoundCall<T>& call = phase.calls[i];
      call.run(call.work, step, 0, phase.crosses ? call.units : step.rows);
      const bool more = i + 1 < phase.calls.size() && phase.calls[i + 1].out == call.out;
      if (call.out < 0 || more) continue;
      const long row = faulty_row(call, step.rows), loss = faulty_loss(call, step.rows);
      if (loss >= 0) return Origin{call.name, call.op, "forward", step.order[loss]};
      if (row < 0) continue;
      const bool one = program_.tensors[call.out].samples == 1;
      return Origin{call.name, call.op, call.backward ? "backward" : "forward",
                    one ? step.order[row] : -1};
    }
  }
  return std::nullopt;
}

// The first sample whose loss is not finite, of a call that is one; -1 where there is none.
template <class T> long Plan<T>::faulty_loss(const BoundCall<T>& call, long rows) const {
  const std::string_view op = call.op;
  if (op != ops::Loss::kName && op != ops::MeanLoss::kName) return -1;
  const double* const values = static_cast<const PerRow<T>*>(call.work.made)->values;
  const double* const found =
      std::find_if(values, values + rows, [](double x) { return !std::isfinite(x); });
  return found == values + rows ? -1 : found - values;
}

template <class T> long Plan<T>::faulty_row(const BoundCall<T>& call, long samples) const {
  const long each = program_.tensors[call.out].samples;
  const long rows = each == kAllSamples ? 1 : (samples + each - 1) / each;
  for (long r = 0; r < rows; ++r) {
    const T* x = row(call.out, r);
    for (long c = 0; c < width(call.out); ++c) {
      if (!std::isfinite(plain(x[c]))) return r;
    }
  }
  return -1;
}

#define STEEP_ROWS(T)                                                          \
  template void Plan<T>::reserve_threads(int);                                 \
  template bool Plan<T>::run(const Step<T>&, int, int, bool, Watch<T>*) const; \
  template void Plan<T>::prepare(int, int) const;                              \
  template bool Plan<T>::run_rows(const Step<T>&, int, long, long) const;      \
  template void Plan<T>::follow_statistics(long, long) const;                  \
  template std::size_t Plan<T>::statistics() const;                            \
  template void Plan<T>::keep_statistics(T*) const;                            \
  template void Plan<T>::put_statistics(const T*) const;                       \
  template std::optional<Origin> Plan<T>::first_fault(const Step<T>&) const;
STEEP_ROWS(float)
STEEP_ROWS(double)
STEEP_ROWS(portable::Dual)
#undef STEEP_ROWS

}  // namespace steep
