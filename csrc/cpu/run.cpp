// The run loop: every thread walks the same steps. First the plan's phases, forward and backward,
// with a meeting between two of them; then all parameters, gradient and update while both are in
// cache.
#include <algorithm>
#include <atomic>

#include "base/clock.h"
#include "cpu/invariants.h"
#include "cpu/threads.h"
#include "cpu/training.h"

namespace steep {

// What the threads of one stretch share.
template <class T> struct CpuTraining<T>::Loop {
  CpuTraining& t;
  const Update<T>& update;
  const Stretch& stretch;
  Halt* const halt;
  const bool polite;  // makes room for those who wait for the weights
  const double begun;
  std::atomic<bool> bad_loss{false}, bad_gradient{false}, late{false};
  std::atomic<bool> halted_rows{false}, halted_gradients{false};
  long done = 0;
  long end = 0;  // of the steps the threads are about to run

  using Share = typename Update<T>::Share;
  using Knobs = typename Update<T>::Knobs;
  void run(int thread, int threads, long first_step);
  bool pass(Step<T> step, long i, Share share, int thread, int threads, bool first);
  bool uphill(const Step<T>& step, long i, Share share, const Knobs& knobs, int thread,
              int threads);
  void record(const Step<T>& step, long i) const;
  bool late_now() const;
  void check() const;  // see invariants.h
  bool halted() const { return halted_rows || halted_gradients; }
  bool stopped() const { return late || halted() || bad_loss || bad_gradient; }
};

// Rows are added in order, whoever computed them.
template <class T> void CpuTraining<T>::Loop::record(const Step<T>& step, long i) const {
  double loss = 0, right = 0, weight = static_cast<double>(step.rows);
  const double *values = t.plan_->values(), *correct = t.plan_->correct();
  if (const double* weights = stretch.data->data().weights; weights == nullptr) {
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
  const auto add = [&](double& sum, double part) { sum = step.first > 0 ? sum + part : part; };
  add(stretch.loss[i], loss);
  add(stretch.right[i], right);
  add(stretch.weight[i], weight);
}

// All rows of a step forward and backward, at once or part by part: then gradients are added up. False
// where the step ends here; where it is the first pass it has left nothing behind.
template <class T>
bool CpuTraining<T>::Loop::pass(Step<T> step, long i, Share share, int thread, int threads,
                                bool first) {
  const auto meet = [threads] {
    if (threads > 1) pool().meet();
  };
  const Plan<T>& plan = *t.plan_;
  const long rows = step.rows, part = stretch.data->at_once(rows);
  const bool parts = part < rows;
  step.halt = first ? halt : nullptr;  // a step that is half done is finished
  if (thread == 0 && parts && first) plan.keep_statistics(t.kept_statistics_.data());
  for (step.first = 0; step.first < rows; step.first += part) {
    step.rows = std::min(part, rows - step.first);
    if (!plan.run(step, thread, threads)) (first ? bad_loss : bad_gradient) = true;
    // Only the caller's own thread notes it; the others see it after the next meeting.
    if (step.halt != nullptr && thread == 0 && halt->wanted()) halted_rows = true;
    meet();
    const bool ends = halted_rows || bad_loss || bad_gradient;
    if (thread == 0 && parts && first && ends) plan.put_statistics(t.kept_statistics_.data());
    if (halted_rows) return false;
    if (thread == 0 && first) record(step, i);
    if (ends || !parts) return !ends;
    update.collect(share, step.rows, step.first > 0);
    if (thread == 0 && first) plan.follow_statistics(step.rows);
    meet();
  }
  return true;
}

// The gradient of the point uphill in place of that of the weights. Statistics follow the weights' own.
template <class T>
bool CpuTraining<T>::Loop::uphill(const Step<T>& step, long i, Share share, const Knobs& knobs,
                                  int thread, int threads) {
  const bool parts = stretch.data->at_once(step.rows) < step.rows;
  T* const kept = t.kept_weights_->column(0);
  if (!parts) update.collect(share, step.rows, false);
  if (thread == 0 && !parts) t.plan_->follow_statistics(step.rows);
  if (!update.climb(share, knobs, kept, threads)) bad_gradient = true;
  if (threads > 1) pool().meet();
  if (bad_gradient) return false;
  const bool went = pass(step, i, share, thread, threads, false);
  update.come_back(share, kept);
  return went;
}

// Past its time, or others wait for the weights and it had a fair share.
template <class T> bool CpuTraining<T>::Loop::late_now() const {
  constexpr double kFairShare = 2e-3;  // seconds
  const double spent = now() - begun;
  return spent > stretch.budget || (polite && spent > kFairShare && t.weights_->gate().awaited());
}

// Others only read weights by now, until all meet again.
template <class T> void CpuTraining<T>::Loop::check() const {
  check_padding(*t.weights_, "the weight");
  check_padding(t.slots_, "a slot");
  if (stretch.separate) check_padding(*t.gradients_, "the gradient");
}

template <class T> void CpuTraining<T>::Loop::run(int thread, int threads, long first_step) {
  const auto meet = [threads] {
    if (threads > 1) pool().meet();
  };
  const auto share = update.share(thread, threads);
  for (long i = first_step; i < end; ++i) {
    auto knobs = update.read(stretch.knobs, i);
    const Step<T> step =
        t.at(*stretch.data, {stretch.at.epoch, stretch.at.batch + i, stretch.at.step + i});
    if (!pass(step, i, share, thread, threads, true)) return;
    const bool parts = stretch.data->at_once(step.rows) < step.rows;
    const bool twice = knobs.shared(kSharpness) > 0;
    if (twice && !uphill(step, i, share, knobs, thread, threads)) return;
    const bool finite = stretch.separate
                            ? update.separate(share, step.rows, parts, knobs, thread, threads,
                                              parts || twice ? nullptr : halt, halted_gradients)
                            : update.fused(share, step.rows, knobs, thread, threads);
    if (halted_gradients) return;
    if (!finite) bad_gradient = true;
    if (thread == 0 && !parts && !twice) t.plan_->follow_statistics(step.rows);
    if (thread == 0 && late_now()) late = true;
    meet();
    if (bad_gradient) return;
    if (thread == 0 && checking()) check();
    if (thread == 0) done = i + 1;
    if (late) return;
  }
}

template <class T> Walked CpuTraining<T>::walk(const Stretch& stretch, Halt* halt) {
  // A long step of a look-ahead rule that is left in the middle finds its weights again. Short ones
  // are not left.
  constexpr double kLongStep = 0.1, kLongForward = 2e10;  // seconds; flops
  const double begun = now();
  const long rows = stretch.data->at_once(stretch.data->rows(stretch.at.batch));
  const int wanted = threads_for_rows(rows);
  const bool polite = halt != nullptr;
  const double forward = plan_->cost_per_row() * static_cast<double>(rows);
  if (stretch.separate || recipe_.keeps_gradients()) keep_gradients();
  if (!kept_weights_ && climbs(stretch.knobs, stretch.count, recipe_.columns())) {
    kept_weights_ = std::make_unique<CpuStore<T>>(weights_->shared_layout(), 1);
  }
  Update<T> update = this->update();
  if (halt != nullptr && update.looks_ahead()) {
    if (stretch.separate || step_seconds_ > kLongStep || forward > kLongForward) {
      update.keep_weights();
    } else {
      halt = nullptr;
    }
  }
  update.begin(stretch.knobs);
  Loop loop{*this, update, stretch, halt, polite, begun};
  while (loop.done < stretch.count && !loop.stopped()) {
    const int threads = wanted > 1 ? pace_.threads(wanted) : 1;
    const long from = loop.done;
    const double start = now();
    loop.end = wanted > 1 ? std::min(stretch.count, from + pace_.steps()) : stretch.count;
    pool().run(threads, [&](int thread, int members) { loop.run(thread, members, from); });
    if (wanted > 1) pace_.note(loop.done - from, now() - start);
  }
  update.end(stretch.knobs, loop.done);
  if (loop.done > 0) step_seconds_ = (now() - begun) / static_cast<double>(loop.done);
  const Bad bad = loop.halted()       ? Bad::Nothing
                  : loop.bad_loss     ? Bad::Loss
                  : loop.bad_gradient ? Bad::Gradient
                                      : Bad::Nothing;
  return {loop.done, bad, step_seconds_};
}

template Walked CpuTraining<float>::walk(const Stretch&, Halt*);
template Walked CpuTraining<double>::walk(const Stretch&, Halt*);

}  // namespace steep
