// The way back to the last good weights: snapshots, and running the steps since again.
#include <algorithm>
#include <atomic>

#include "cpu/threads.h"
#include "session/snapshot.h"

namespace steep {

namespace {

constexpr double kSnapshotShare = 100;  // a snapshot may cost a hundredth of the time
constexpr double kForever = 1e9;        // seconds
constexpr long kKeptBytes = 32L << 20;  // of batches, where the weights are smaller

}  // namespace

template <class T>
bool Session<T>::finite_at(const Batcher& data, Position at) const {
  const Step<T> step = step_at(data, at, *plan_);
  const int wanted = wanted_threads(*plan_, step.rows);
  plan_->reserve_threads(wanted);
  std::atomic<bool> finite{true};
  pool().run(wanted, [&](int thread, int threads) {
    if (!plan_->run(step, thread, threads)) finite = false;
  });
  return finite;
}

// Whether the next steps want a new snapshot: there is none, the last is old, or has much to keep.
template <class T> bool Session<T>::due(long count) const {
  const Snapshot& s = *snapshot_;
  if (!s.fits(network_->weights()->changes() + state_->changes())) return true;
  const double cost = s.cost + step_seconds_;  // to look whether the loss is finite takes a step
  return s.steps + count > kMostSteps ||
         s.bytes + data_->data().bytes > std::max(kKeptBytes, snapshot_bytes()) ||
         now() - s.taken >= std::max(1.0, kSnapshotShare * cost);
}

// Takes a snapshot where one is due. Only weights with a finite loss and finite slots are worth
// remembering; false, a fault, and the old snapshot kept, when they turn out to be bad.
template <class T> bool Session<T>::remember(Position at, long count) {
  Snapshot& s = *snapshot_;
  if (!due(count)) return true;
  if (s.fits(network_->weights()->changes() + state_->changes()) && s.steps > 0) {
    if (!finite_at(*data_, at)) {
      fault_ = Fault{"loss", plan_->first_fault(step_at(*data_, at, *plan_))};
    } else if (!finite_slots()) {
      fault_ = Fault{"optimizer's state", faulty_slot()};
    }
    if (fault_) return false;
  }
  const double checked = now();
  const long size = network_->weights()->layout().size;
  if (outcome_.weight.empty()) {  // the last to be had, where memory ends on the way
    s.weights.resize(size);
    s.state.resize(state_->elements());
    s.segments.reserve(kMostSteps);
    s.knobs.reserve(kMostSteps * knob_columns());
    log_.reserve(2 * kMostSteps);
    for (auto* column : {&outcome_.loss, &outcome_.right, &outcome_.weight}) {
      column->resize(kMostSteps);
    }
  }
  std::copy_n(network_->weights()->column(0), size, s.weights.begin());
  std::copy_n(state_->column(0), state_->elements(), s.state.begin());
  s.segments.clear();
  s.knobs.clear();
  s.steps = s.bytes = 0;
  s.progress = progress_;
  s.changes = network_->weights()->changes() + state_->changes();
  s.valid = true;
  s.taken = now();
  s.cost = s.taken - checked;
  return true;
}

// From the snapshot, runs every step again but the last `steps`; the progress goes with it.
template <class T> void Session<T>::go_back(long steps) {
  Snapshot& s = *snapshot_;
  const std::optional<Fault> fault = fault_;
  const Progress before = progress_;
  std::copy(s.weights.begin(), s.weights.end(), network_->weights()->column(0));
  std::copy(s.state.begin(), s.state.end(), state_->column(0));
  const long known = progress_.steps - static_cast<long>(log_.size());  // losses before it are gone
  progress_ = s.progress;
  log_.clear();
  long left = s.steps - std::min(steps, s.steps);
  long epoch = before.epoch;  // of the first step that is not run again
  for (const auto& segment : s.segments) {
    const long count = std::min(segment.count, left);
    if (left < segment.count) epoch = std::min(epoch, segment.at.epoch);
    left -= count;
    if (count == 0) continue;
    loop(*segment.data, segment.at, count, s.knobs.data() + segment.knobs, kForever,
         segment.separate, nullptr);
    tally(*segment.data, segment.at, count, segment.single);
  }
  const long logged = progress_.steps - static_cast<long>(log_.size());
  log_.erase(log_.begin(), log_.begin() + std::clamp(known - logged, 0L, progress_.steps - logged));
  if (progress_.steps == before.steps) {
    progress_ = before;  // an epoch that had ended, or begun anew, did so after the last step
  } else if (progress_.epoch < epoch) {
    progress_.begin_epoch(epoch);
  }
  s.segments.clear();
  s.valid = false;
  fault_ = fault;
}

// Of the steps since the snapshot, how many left all slots finite.
template <class T> long Session<T>::steps_with_finite_slots() {
  Snapshot& s = *snapshot_;
  std::copy(s.weights.begin(), s.weights.end(), network_->weights()->column(0));
  std::copy(s.state.begin(), s.state.end(), state_->column(0));
  long steps = 0;
  for (const auto& segment : s.segments) {
    for (long i = 0; i < segment.count; ++i, ++steps) {
      const Position at{segment.at.epoch, segment.at.batch + i, segment.at.step + i};
      loop(*segment.data, at, 1, s.knobs.data() + segment.knobs + i * knob_columns(), kForever,
           segment.separate, nullptr);
      if (!finite_slots()) return steps;
    }
  }
  return steps;
}

// Is the loss of the last step's batch still finite? Then the batch after it is to blame, and not
// the update between.
template <class T> bool Session<T>::last_finite() const {
  if (snapshot_->segments.empty()) return true;
  const auto& last = snapshot_->segments.back();
  const long i = last.count - 1;
  return finite_at(*last.data, {last.at.epoch, last.at.batch + i, last.at.step + i});
}

// After a fault: the weights, slots and progress of the last step that was good. `done` steps from
// `at` came before it.
template <class T>
void Session<T>::settle(Position at, long done, const double* knobs) {
  if (fault_->what == "loss") {
    // A step by itself is its caller's: what came before it stays.
    const bool stays = single_ || last_finite();
    return done > 0 && stays ? tally(*data_, at, done, single_) : go_back(stays ? 0 : 1);
  }
  if (fault_->what == "gradient") {
    go_back(0);
    fault_->where = faulty_parameter({at.epoch, at.batch + done, at.step + done},
                                     knobs + done * knob_columns());
    return;
  }
  go_back(snapshot_->steps - steps_with_finite_slots());
}

#define STEEP_REWIND(T)                                                \
  template bool Session<T>::finite_at(const Batcher&, Position) const; \
  template bool Session<T>::due(long) const;                           \
  template bool Session<T>::remember(Position, long);                  \
  template void Session<T>::go_back(long);                             \
  template long Session<T>::steps_with_finite_slots();                 \
  template bool Session<T>::last_finite() const;                       \
  template void Session<T>::settle(Position, long, const double*);
STEEP_REWIND(float)
STEEP_REWIND(double)
#undef STEEP_REWIND

}  // namespace steep
