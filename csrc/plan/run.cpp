// The run loop: every thread walks the same steps. First the plan's phases, forward and backward,
// with a meeting between two of them; then all parameters, gradient and update while both are in
// cache.
#include <atomic>
#include <cmath>

#include "backend/cpu/pool.h"
#include "plan/invariants.h"
#include "plan/session.h"

namespace steep {

namespace {

constexpr int kMostKnobs = 32;

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
  const Position at;
  const long count;
  const double* knobs;
  double *losses, *correct;
  const double deadline;
  // Gradients of all parameters are finished, and known to be finite, before the first update.
  const bool separate;
  std::atomic<bool> bad_loss{false}, bad_gradient{false}, late{false};
  long done = 0;
  long end = 0;                 // of the stretch the threads are about to run
  T* columns[1 + kMaxSlots]{};  // of the Stores: weights, then slots
  int column_count = 0;

  void run(int thread, int threads, long first_step);
  void read_knobs(long i, T* to) const;
  void record(const Step<T>& step, long i) const;
  bool update(const GradTask<T>& task, const T* g, const T* knobs, T scale) const;
  double finish(const GradTask<T>& task, T* g, const T* knobs) const;
  bool update_fused(std::size_t first, std::size_t last, long rows, const T* knobs,
                    int threads) const;
  bool update_separate(std::size_t first, std::size_t last, long rows, const T* knobs, int threads);
  void check() const;  // see invariants.h
  static void meet(int threads) {
    if (threads > 1) pool().meet();
  }
};

template <class T> void Session<T>::Loop::read_knobs(long i, T* to) const {
  const int n = s.knob_columns();
  for (int c = 0; c < n; ++c) to[c] = static_cast<T>(knobs[i * n + c]);
}

// Rows are added in order, whoever computed them.
template <class T> void Session<T>::Loop::record(const Step<T>& step, long i) const {
  double loss = 0, right = 0;
  for (long r = 0; r < step.rows; ++r) {
    loss += s.plan_->values()[r];
    right += s.plan_->correct()[r];
  }
  losses[i] = s.mean_ ? loss / static_cast<double>(step.rows) : loss;
  correct[i] = right;
}

template <class T>
double Session<T>::Loop::finish(const GradTask<T>& task, T* g, const T* knobs) const {
  const bool decay = task.decay || s.decay_bias_;
  return s.k_.finish_gradient(g, columns[0] + task.offset, task.size, decay ? knobs[kL1] : T(0),
                              decay ? knobs[kL2] : T(0), knobs[kClipValue]);
}

template <class T>
bool Session<T>::Loop::update(const GradTask<T>& task, const T* g, const T* knobs, T scale) const {
  UpdateArgs<T> a{};
  a.w = columns[0] + task.offset;
  a.g = g;
  for (int i = 1; i < column_count; ++i) a.slots[i - 1] = columns[i] + task.offset;
  a.n = task.size;
  a.knobs = knobs + kCommonKnobs;
  a.scale = scale;
  a.decay = task.decay || s.decay_bias_ ? knobs[kDecay] : T(0);
  return s.k_.update[s.rule_](a);
}

template <class T>
bool Session<T>::Loop::update_fused(std::size_t first, std::size_t last, long rows, const T* knobs,
                                    int threads) const {
  alignas(64) T g[kLargestTask];
  const bool plain = knobs[kL1] == 0 && knobs[kL2] == 0 && knobs[kClipValue] == 0;
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

template <class T>
bool Session<T>::Loop::update_separate(std::size_t first, std::size_t last, long rows,
                                       const T* knobs, int threads) {
  const auto& tasks = s.plan_->tasks();
  T* all = s.gradients_->column(0);
  for (std::size_t i = first; i < last; ++i) {
    s.plan_->gradient(tasks[i], rows, all + tasks[i].offset);
    s.squares_[i] = finish(tasks[i], all + tasks[i].offset, knobs);
  }
  meet(threads);
  double sum = 0;
  for (const double square : s.squares_) sum += square;
  if (!std::isfinite(sum)) return false;
  const double norm = std::sqrt(sum), most = static_cast<double>(knobs[kClipNorm]);
  // At or below the threshold the gradient stays as it is, to the bit.
  const T scale = most > 0 && norm > most ? static_cast<T>(most / norm) : T(1);
  bool finite = true;
  for (std::size_t i = first; i < last; ++i) {
    finite &= update(tasks[i], all + tasks[i].offset, knobs, scale);
  }
  return finite;
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
  T row[kMostKnobs];
  for (long i = first_step; i < end; ++i) {
    read_knobs(i, row);
    const Step<T> step = s.step_at(s.batcher_, {at.epoch, at.batch + i, at.step + i}, *s.plan_);
    if (!s.plan_->run(step, thread, threads)) bad_loss = true;
    meet(threads);
    if (thread == 0) record(step, i);
    if (bad_loss) return;
    const bool finite = separate ? update_separate(first, last, step.rows, row, threads)
                                 : update_fused(first, last, step.rows, row, threads);
    if (!finite) bad_gradient = true;
    if (thread == 0) s.plan_->follow_statistics(step.rows);
    if (thread == 0 && now() > deadline) late = true;
    meet(threads);
    if (bad_gradient) return;
    if (thread == 0 && checking()) check();
    if (thread == 0) done = i + 1;
    if (late) return;
  }
}

template <class T>
long Session<T>::loop(Position at, long count, const double* knobs, double* losses, double* correct,
                      double budget, bool separate) {
  const int wanted = wanted_threads(batcher_.rows(at.batch));
  const double begun = now(), deadline = begun + budget;
  plan_->reserve_threads(wanted);
  begin(knobs);
  Loop loop{*this, at, count, knobs, losses, correct, deadline, separate};
  loop.column_count = state_columns(loop.columns);
  while (loop.done < count && !loop.late && !loop.bad_loss && !loop.bad_gradient) {
    const int threads = wanted > 1 ? pace_.threads(wanted) : 1;
    const long from = loop.done;
    const double start = now();
    loop.end = wanted > 1 ? std::min(count, from + pace_.steps()) : count;
    pool().run(threads, [&](int thread, int members) { loop.run(thread, members, from); });
    if (wanted > 1) pace_.note(loop.done - from, now() - start);
  }
  end(knobs, loop.done);
  if (loop.done > 0) step_seconds_ = (now() - begun) / static_cast<double>(loop.done);
  if (loop.bad_loss) {
    const Position bad{at.epoch, at.batch + loop.done, at.step + loop.done};
    fault_ = Fault{loop.done, "loss", plan_->first_fault(step_at(batcher_, bad, *plan_)), 0};
  } else if (loop.bad_gradient) {
    fault_ = Fault{loop.done, "gradient", "", 0};
  }
  return loop.done;
}

#define STEEP_LOOP(T) \
  template long Session<T>::loop(Position, long, const double*, double*, double*, double, bool);
STEEP_LOOP(float)
STEEP_LOOP(double)
#undef STEEP_LOOP

}  // namespace steep
