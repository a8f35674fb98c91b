// The run loop: every thread walks the same steps. First the plan's phases, forward and backward,
// with a meeting between two of them; then all parameters, gradient and update while both are in
// cache.
#include <atomic>
#include <cmath>

#include "cpu/invariants.h"
#include "cpu/threads.h"
#include "session/session.h"

namespace steep {

namespace {

constexpr int kMostKnobs = 32;
constexpr double kLeastFactor = 0x1p-60;  // of a gradient that is clipped, in one multiplication

// Tasks [first, second) of one thread: contiguous, equal shares of the parameters.
template <class T>
std::pair<std::size_t, std::size_t> share(const std::vector<GradTask<T>>& tasks, int thread,
                                          int threads) {
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

}  // namespace

// What the threads of one run share.
template <class T> struct Session<T>::Loop {
  Session& s;
  const Batcher& data;
  const Position at;
  const long count;
  const double* knobs;
  const double begun, deadline;
  // Gradients of all parameters are finished, and known to be finite, before the first update.
  const bool separate;
  Halt* const halt;
  const bool polite;  // makes room for those who wait for the weights
  std::atomic<bool> bad_loss{false}, bad_gradient{false}, late{false};
  std::atomic<bool> halted_rows{false}, halted_gradients{false};
  long done = 0;
  long end = 0;                 // of the stretch the threads are about to run
  T* columns[1 + kMaxSlots]{};  // of the Stores: weights, then slots
  int column_count = 0;

  // One step's knobs: those of all rules, and the rule's own.
  struct Row {
    const double* common;
    T own[kMostKnobs];
  };

  void run(int thread, int threads, long first_step);
  Row read_knobs(long i) const;
  void record(const Step<T>& step, long i) const;
  bool update(const GradTask<T>& task, const T* g, const Row& knobs, T scale) const;
  double finish(const GradTask<T>& task, T* g, const Row& knobs) const;
  bool update_fused(std::size_t first, std::size_t last, long rows, const Row& knobs,
                    int threads) const;
  bool update_separate(std::size_t first, std::size_t last, long rows, const Row& knobs, int thread,
                       int threads);
  double norm(std::size_t first, std::size_t last, int threads, double& shrunk);
  void shrink(std::size_t first, std::size_t last, double factor) const;
  bool late_now() const;
  bool stopped() const {
    return late || halted_rows || halted_gradients || bad_loss || bad_gradient;
  }
  // Only the caller's own thread notes it; the others see it after the next meeting.
  void note_halt(int thread, std::atomic<bool>& halted) const {
    if (halt == nullptr || thread != 0) return;
    if (halt->wanted()) halted = true;
  }
  void check() const;  // see invariants.h
  static void meet(int threads) {
    if (threads > 1) pool().meet();
  }
};

template <class T> auto Session<T>::Loop::read_knobs(long i) const -> Row {
  const int n = s.knob_columns();
  Row row;
  row.common = knobs + i * n;
  for (int c = kCommonKnobs; c < n; ++c) row.own[c - kCommonKnobs] = static_cast<T>(row.common[c]);
  return row;
}

// Rows are added in order, whoever computed them.
template <class T> void Session<T>::Loop::record(const Step<T>& step, long i) const {
  double loss = 0, right = 0, weight = static_cast<double>(step.rows);
  const double *values = s.plan_->values(), *correct = s.plan_->correct();
  if (const double* weights = data.data().weights; weights == nullptr) {
    for (long r = 0; r < step.rows; ++r) loss += values[r], right += correct[r];
  } else {
    weight = 0;
    for (long r = 0; r < step.rows; ++r) {
      const double each = weights[step.order[r]];
      loss += values[r];
      right += each * correct[r];
      weight += each;
    }
  }
  s.outcome_.loss[i] = loss;
  s.outcome_.right[i] = right;
  s.outcome_.weight[i] = weight;
}

template <class T>
double Session<T>::Loop::finish(const GradTask<T>& task, T* g, const Row& knobs) const {
  const bool decay = task.decay || s.decay_bias_;
  return s.k_.finish_gradient(
      g, columns[0] + task.offset, task.size, decay ? static_cast<T>(knobs.common[kL1]) : T(0),
      decay ? static_cast<T>(knobs.common[kL2]) : T(0), static_cast<T>(knobs.common[kClipValue]));
}

template <class T>
bool Session<T>::Loop::update(const GradTask<T>& task, const T* g, const Row& knobs,
                              T scale) const {
  UpdateArgs<T> a{};
  a.w = columns[0] + task.offset;
  a.g = g;
  for (int i = 1; i < column_count; ++i) a.slots[i - 1] = columns[i] + task.offset;
  a.n = task.size;
  a.knobs = knobs.own;
  a.scale = scale;
  a.decay = task.decay || s.decay_bias_ ? static_cast<T>(knobs.common[kDecay]) : T(0);
  return s.k_.update[s.rule_](a);
}

template <class T>
bool Session<T>::Loop::update_fused(std::size_t first, std::size_t last, long rows,
                                    const Row& knobs, int threads) const {
  alignas(64) T g[kLargestTask];
  const bool plain =
      knobs.common[kL1] == 0 && knobs.common[kL2] == 0 && !(knobs.common[kClipValue] < kNoLimit);
  bool finite = true;
  // Where all stays in cache, the weights may still be in another core's.
  const int asked = s.large() ? column_count : threads > 1 ? 1 : 0;
  for (std::size_t i = first; i < last; ++i) {
    const GradTask<T>& task = s.plan_->tasks()[i];
    s.plan_->gradient(task, rows, g, asked, columns);
    if (!plain) finish(task, g, knobs);
    finite &= update(task, g, knobs, T(1));
  }
  return finite;
}

// Multiplies the gradients of some tasks, and sums their squares anew.
template <class T>
void Session<T>::Loop::shrink(std::size_t first, std::size_t last, double factor) const {
  const auto& tasks = s.plan_->tasks();
  T* all = s.gradients_->column(0);
  for (std::size_t i = first; i < last; ++i) {
    T* g = all + tasks[i].offset;
    for (long j = 0; j < tasks[i].size; ++j) g[j] *= static_cast<T>(factor);
    s.squares_[i] = s.k_.finish_gradient(g, g, tasks[i].size, T(0), T(0), static_cast<T>(kNoLimit));
  }
}

// Length of the whole gradient, of which squares_ has the parts. Where squares overflow, all of it
// is first made smaller, by `shrunk`.
template <class T>
double Session<T>::Loop::norm(std::size_t first, std::size_t last, int threads, double& shrunk) {
  const auto total = [&] {
    double sum = 0;
    for (const double square : s.squares_) sum += square;
    return sum;
  };
  meet(threads);
  double sum = total();
  if (sizeof(T) == sizeof(double) && !std::isfinite(sum)) {
    meet(threads);  // everybody has read the squares
    shrunk = 0x1p-600;
    shrink(first, last, shrunk);
    meet(threads);
    sum = total();
  }
  return std::sqrt(sum);
}

template <class T>
bool Session<T>::Loop::update_separate(std::size_t first, std::size_t last, long rows,
                                       const Row& knobs, int thread, int threads) {
  const auto& tasks = s.plan_->tasks();
  T* all = s.gradients_->column(0);
  for (std::size_t i = first; i < last; ++i) {
    if (halt != nullptr && thread == 0) halt->ask();
    if (halt != nullptr && halt->wanted()) break;
    s.plan_->gradient(tasks[i], rows, all + tasks[i].offset);
    s.squares_[i] = finish(tasks[i], all + tasks[i].offset, knobs);
  }
  note_halt(thread, halted_gradients);
  double shrunk = 1;
  const double length = norm(first, last, threads, shrunk);
  if (halted_gradients) return true;
  if (!std::isfinite(length)) return false;
  // At or below the limit the gradient stays as it is, to the bit.
  const double most = knobs.common[kClipNorm];
  double scale = length > most * shrunk ? most / length : 1 / shrunk;
  if (scale > 0 && scale < kLeastFactor) {  // one factor would be flushed to 0
    shrink(first, last, kLeastFactor);
    scale /= kLeastFactor;
  }
  bool finite = true;
  for (std::size_t i = first; i < last; ++i) {
    finite &= update(tasks[i], all + tasks[i].offset, knobs, static_cast<T>(scale));
  }
  return finite;
}

// Past its time, or others wait for the weights and it had a fair share.
template <class T> bool Session<T>::Loop::late_now() const {
  constexpr double kFairShare = 2e-3;  // seconds
  const double time = now();
  return time > deadline ||
         (polite && time - begun > kFairShare && s.network_->weights()->gate().awaited());
}

// Others only read weights by now, until all meet again.
template <class T> void Session<T>::Loop::check() const {
  check_padding(*s.network_->weights(), 1, "the weight");
  check_padding(*s.state_, column_count - 1, "a slot");
  if (separate) check_padding(*s.gradients_, 1, "the gradient");
}

template <class T>
void Session<T>::Loop::run(int thread, int threads, long first_step) {
  const auto [first, last] = share(s.plan_->tasks(), thread, threads);
  for (long i = first_step; i < end; ++i) {
    const Row knobs = read_knobs(i);
    Step<T> step = s.step_at(data, {at.epoch, at.batch + i, at.step + i}, *s.plan_);
    step.halt = halt;
    if (!s.plan_->run(step, thread, threads)) bad_loss = true;
    note_halt(thread, halted_rows);
    meet(threads);
    if (halted_rows) return;
    if (thread == 0) record(step, i);
    if (bad_loss) return;
    const bool finite = separate ? update_separate(first, last, step.rows, knobs, thread, threads)
                                 : update_fused(first, last, step.rows, knobs, threads);
    if (halted_gradients) return;
    if (!finite) bad_gradient = true;
    if (thread == 0) s.plan_->follow_statistics(step.rows);
    if (thread == 0 && late_now()) late = true;
    meet(threads);
    if (bad_gradient) return;
    if (thread == 0 && checking()) check();
    if (thread == 0) done = i + 1;
    if (late) return;
  }
}

template <class T>
long Session<T>::loop(const Batcher& data, Position at, long count, const double* knobs,
                      double budget, bool separate, Halt* halt) {
  const int wanted = wanted_threads(*plan_, data.rows(at.batch));
  const double begun = now();
  plan_->reserve_threads(wanted);
  // The way to the point and back is exact after a step only: a long one that is left in the middle
  // finds its weights here. Short ones are not left.
  constexpr double kLongStep = 0.1, kLongForward = 2e10;  // seconds; flops
  const bool polite = halt != nullptr;
  const double forward = plan_->cost_per_row() * static_cast<double>(data.rows(at.batch));
  std::vector<T> kept;
  if (halt != nullptr && rule_infos()[rule_].look_ahead) {
    if (separate || step_seconds_ > kLongStep || forward > kLongForward) {
      const T* w = network_->weights()->column(0);
      kept.assign(w, w + network_->weights()->layout().size);
    } else {
      halt = nullptr;
    }
  }
  begin(knobs);
  Loop loop{*this, data, at, count, knobs, begun, begun + budget, separate, halt, polite};
  loop.column_count = state_columns(loop.columns);
  while (loop.done < count && !loop.stopped()) {
    const int threads = wanted > 1 ? pace_.threads(wanted) : 1;
    const long from = loop.done;
    const double start = now();
    loop.end = wanted > 1 ? std::min(count, from + pace_.steps()) : count;
    pool().run(threads, [&](int thread, int members) { loop.run(thread, members, from); });
    if (wanted > 1) pace_.note(loop.done - from, now() - start);
  }
  if (loop.done == 0 && !kept.empty()) {
    std::copy(kept.begin(), kept.end(), network_->weights()->column(0));
  } else {
    end(knobs, loop.done);
  }
  if (loop.done > 0) step_seconds_ = (now() - begun) / static_cast<double>(loop.done);
  if (loop.halted_rows || loop.halted_gradients) return loop.done;
  if (loop.bad_loss) {
    const Position bad{at.epoch, at.batch + loop.done, at.step + loop.done};
    fault_ = Fault{"loss", plan_->first_fault(step_at(data, bad, *plan_))};
  } else if (loop.bad_gradient) {
    fault_ = Fault{"gradient", ""};
  }
  return loop.done;
}

#define STEEP_LOOP(T)                                                                         \
  template long Session<T>::loop(const Batcher&, Position, long, const double*, double, bool, \
                                 Halt*);
STEEP_LOOP(float)
STEEP_LOOP(double)
#undef STEEP_LOOP

}  // namespace steep
