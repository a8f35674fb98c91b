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
  const CpuTraining& t;
  const Update<T>& update;
  const Stretch& stretch;
  Halt* const halt;
  const bool polite;  // makes room for those who wait for the weights
  const double begun;
  std::atomic<bool> bad_loss{false}, bad_gradient{false}, late{false};
  std::atomic<bool> halted_rows{false}, halted_gradients{false};
  long done = 0;
  long end = 0;  // of the steps the threads are about to run

  void run(int thread, int threads, long first_step);
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
  stretch.loss[i] = loss;
  stretch.right[i] = right;
  stretch.weight[i] = weight;
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
    Step<T> step =
        t.at(*stretch.data, {stretch.at.epoch, stretch.at.batch + i, stretch.at.step + i});
    step.halt = halt;
    if (!t.plan_->run(step, thread, threads)) bad_loss = true;
    // Only the caller's own thread notes it; the others see it after the next meeting.
    if (halt != nullptr && thread == 0 && halt->wanted()) halted_rows = true;
    meet();
    if (halted_rows) return;
    if (thread == 0) record(step, i);
    if (bad_loss) return;
    const bool finite = stretch.separate ? update.separate(share, step.rows, knobs, thread, threads,
                                                           halt, halted_gradients)
                                         : update.fused(share, step.rows, knobs, threads);
    if (halted_gradients) return;
    if (!finite) bad_gradient = true;
    if (thread == 0) t.plan_->follow_statistics(step.rows);
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
  const long rows = stretch.data->rows(stretch.at.batch);
  const int wanted = threads_for_rows(rows);
  const bool polite = halt != nullptr;
  const double forward = plan_->cost_per_row() * static_cast<double>(rows);
  if (stretch.separate) keep_gradients();
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
