// The run loop: every thread walks the same steps. First the plan's phases, forward and backward,
// with a meeting between two of them; then all parameters, gradient and update while both are in
// cache.
#include <algorithm>
#include <array>
#include <atomic>

#include "base/clock.h"
#include "cpu/invariants.h"
#include "cpu/threads.h"
#include "cpu/training.h"

namespace steep {

// What the threads of one stretch share.
template <class T> struct CpuTraining<T>::Loop {
  CpuTraining& t;
  const Stretch& stretch;
  Halt* const halt;
  const bool polite;  // makes room for those who wait for the weights
  const double begun;
  // Each is written between two meetings, and read after the second by all, before any may write it anew: of a pass
  // on the way, nobody asks what the update found, which the fastest thread may have begun.
  std::atomic<bool> bad_loss{false}, bad_uphill{false}, bad_gradient{false}, late{false};
  std::atomic<bool> halted_rows{false}, halted_gradients{false};
  long done = 0;
  long end = 0;       // of the steps the threads are about to run
  int objective = 0;  // where the step after those ended ...
  bool half = false;  // ... with others before it done

  using Share = typename Update<T>::Share;
  using Knobs = typename Update<T>::Knobs;
  // One objective's part in a step, as one thread does it.
  struct Turn {
    Goal<T>& goal;
    const Share share;
    Halt* const halt;  // null where the step is half done
    const int thread, threads;
    void meet() const {
      if (threads > 1) pool().meet();
    }
  };
  void run(int thread, int threads, long first_step);
  bool take(const Turn& turn, long i);
  bool pass(const Turn& turn, Step<T> step, long i, bool first);
  bool uphill(const Turn& turn, const Step<T>& step, long i, const Knobs& knobs);
  void record(const Goal<T>& goal, const Step<T>& step, long i) const;
  void put_row(const Goal<T>& goal, long i) const;
  bool late_now() const;
  void check() const;  // see invariants.h
  bool halted() const { return halted_rows || halted_gradients; }
  bool stopped() const { return late || halted() || bad_loss || bad_uphill || bad_gradient; }
};

// Rows are added in order, whoever computed them.
template <class T>
void CpuTraining<T>::Loop::record(const Goal<T>& goal, const Step<T>& step, long i) const {
  const auto add = [&](double& sum, double part) { sum = step.first > 0 ? sum + part : part; };
  for (std::size_t k = 0; k < goal.program.losses.size(); ++k) {
    double loss = 0, right = 0, weight = static_cast<double>(step.rows);
    const double *values = goal.plan->values(k), *correct = goal.plan->correct(k);
    const double* weights = stretch.data->data().weights_of(goal.program.losses[k].weights,
                                                            goal.program.losses[k].target);
    if (weights == nullptr) {
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
    const std::size_t at = static_cast<std::size_t>(i) * t.terms_ + goal.terms + k;
    add(stretch.loss[at], loss);
    add(stretch.right[at], right);
    add(stretch.weight[at], weight);
  }
}

// What a recorded step measured; the other threads are at most in the next one's forward pass.
template <class T> void CpuTraining<T>::Loop::put_row(const Goal<T>& goal, long i) const {
  double* const row = stretch.recorded.row(stretch.at.step, stretch.at.step + i);
  goal.update->put_norms(row);
  const std::size_t parameters = t.weights_->layout().slices.size();
  goal.plan->watching()->put(row + parameters * kParameterNumbers);
}

// All rows of a step forward and backward, at once or part by part: then gradients are added up. False
// where the step ends here; where it is the first pass it has left nothing behind.
template <class T>
bool CpuTraining<T>::Loop::pass(const Turn& turn, Step<T> step, long i, bool first) {
  const Plan<T>& plan = *turn.goal.plan;
  const long rows = step.rows, part = stretch.data->at_once(rows);
  const bool parts = part < rows, leads = turn.thread == 0;
  std::atomic<bool>& bad = first ? bad_loss : bad_uphill;
  const bool found = first && !parts && turn.goal.shared.any();  // done by the first objective
  T* const kept = parts ? turn.goal.kept_statistics.data() : nullptr;
  Watch<T>* const watch =
      first && stretch.recorded.at(stretch.at.step + i) ? plan.watching() : nullptr;
  step.halt = first ? turn.halt : nullptr;  // a step that is half done is finished
  if (leads && parts && first) plan.keep_statistics(kept);
  for (step.first = 0; step.first < rows; step.first += part) {
    step.rows = std::min(part, rows - step.first);
    if (!plan.run(step, turn.thread, turn.threads, found, watch)) bad = true;
    // Only the caller's own thread notes it; the others see it after the next meeting.
    if (step.halt != nullptr && leads && halt->wanted()) halted_rows = true;
    turn.meet();
    const bool ends = halted_rows || bad;
    if (leads && parts && first && ends) plan.put_statistics(kept);
    if (halted_rows) return false;
    if (leads && first) record(turn.goal, step, i);
    if (leads && watch != nullptr) watch->add(step.rows, step.first == 0);
    if (ends || !parts) return !ends;
    turn.goal.update->collect(turn.share, step.rows, step.first > 0);
    if (leads && first) plan.follow_statistics(step.rows, step.first);
    turn.meet();
  }
  return true;
}

// The gradient of the point uphill in place of that of the weights. Statistics follow the weights' own.
template <class T>
bool CpuTraining<T>::Loop::uphill(const Turn& turn, const Step<T>& step, long i,
                                  const Knobs& knobs) {
  const bool parts = stretch.data->at_once(step.rows) < step.rows;
  const Update<T>& update = *turn.goal.update;
  T* const kept = t.kept_weights_->column(0);
  if (!parts) update.collect(turn.share, step.rows, false);
  if (turn.thread == 0 && !parts) turn.goal.plan->follow_statistics(step.rows);
  if (!update.climb(turn.share, knobs, kept, turn.threads)) bad_gradient = true;
  turn.meet();
  if (bad_gradient) return false;
  const bool went = pass(turn, step, i, false);
  update.come_back(turn.share, kept);
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

// False where the step ends here; the threads meet before anybody looks at what was updated.
template <class T> bool CpuTraining<T>::Loop::take(const Turn& turn, long i) {
  const Goal<T>& goal = turn.goal;
  const Update<T>& update = *goal.update;
  auto knobs = update.read(stretch.knobs, i);
  knobs.recorded = stretch.recorded.at(stretch.at.step + i);
  const Step<T> step = t.at(goal, *stretch.data, after(*stretch.data, stretch.at, i),
                            t.scalars_of(stretch.knobs + i * t.row_.columns));
  if (!pass(turn, step, i, true)) return false;
  const bool parts = stretch.data->at_once(step.rows) < step.rows;
  const bool twice = knobs.shared(kSharpness) > 0;
  if (twice && !uphill(turn, step, i, knobs)) return false;
  const bool finite =
      stretch.separate
          ? update.separate(turn.share, step.rows, parts, knobs, turn.thread, turn.threads,
                            parts || twice ? nullptr : turn.halt, halted_gradients)
          : update.fused(turn.share, step.rows, knobs, turn.thread, turn.threads);
  if (halted_gradients) return false;
  if (!finite) bad_gradient = true;
  if (turn.thread == 0 && !parts && !twice) goal.plan->follow_statistics(step.rows);
  return true;
}

template <class T>
void CpuTraining<T>::Loop::run(int thread, int threads, long first_step) {
  std::array<Share, kMostObjectives> shares{};
  const std::size_t count = t.goals_.size();
  for (std::size_t g = 0; g < count; ++g) shares[g] = t.goals_[g].update->share(thread, threads);
  for (long i = first_step; i < end; ++i) {
    bool some = false;  // of the step is done
    for (std::size_t g = 0; g < count; ++g) {
      if (!t.goals_[g].due(stretch.at.step + i)) continue;
      const Turn turn{t.goals_[g], shares[g], some ? nullptr : halt, thread, threads};
      if (thread == 0) objective = static_cast<int>(g), half = some;
      if (!take(turn, i)) return;
      if (thread == 0 && late_now()) late = true;
      turn.meet();
      if (bad_gradient) return;
      if (thread == 0 && stretch.recorded.at(stretch.at.step + i)) put_row(t.goals_[g], i);
      some = true;
    }
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
  const long rows = stretch.data->at_once(stretch.data->most_rows(stretch.at.batch, stretch.count));
  const int wanted = threads_for_rows(rows);
  const bool polite = halt != nullptr;
  const double forward = goals_[0].plan->cost_per_row() * static_cast<double>(rows);
  const auto keeps = [](const Goal<T>& goal) { return goal.recipe.keeps_gradients(); };
  if (stretch.separate || std::any_of(goals_.begin(), goals_.end(), keeps)) keep_gradients();
  if (!kept_weights_ && climbs(stretch)) {
    kept_weights_ = std::make_unique<CpuStore<T>>(weights_->shared_layout(), 1);
  }
  if (stretch.recorded.every > 0) prepare_records(wanted);
  for (Goal<T>& goal : goals_) begin_update(goal);
  Update<T>& update = *goals_[0].update;  // of several objectives none looks ahead
  if (halt != nullptr && update.looks_ahead()) {
    if (stretch.separate || step_seconds_ > kLongStep || forward > kLongForward) {
      update.keep_weights();
    } else {
      halt = nullptr;
    }
  }
  update.begin(stretch.knobs);
  Loop loop{*this, stretch, halt, polite, begun};
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
  const bool gradient = loop.bad_uphill || loop.bad_gradient;
  const Bad bad = loop.halted()   ? Bad::Nothing
                  : loop.bad_loss ? Bad::Loss
                  : gradient      ? Bad::Gradient
                                  : Bad::Nothing;
  return {.done = loop.done,
          .bad = bad,
          .seconds = step_seconds_,
          .objective = loop.objective,
          .half = loop.half};
}

template Walked CpuTraining<float>::walk(const Stretch&, Halt*);
template Walked CpuTraining<double>::walk(const Stretch&, Halt*);

}  // namespace steep
