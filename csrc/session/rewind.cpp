// The way back to the last good weights: snapshots, and running the steps since again.
#include <algorithm>

#include "base/clock.h"
#include "session/snapshot.h"

namespace steep {

namespace {

constexpr double kSnapshotShare = 100;  // a snapshot may cost a hundredth of the time
constexpr double kForever = 1e9;        // seconds
constexpr long kKeptBytes = 32L << 20;  // of batches, where the weights are smaller

}  // namespace

// Whether the next steps want a new snapshot: there is none, the last is old, or has much to keep.
bool Session::due(long count) const {
  const Snapshot& s = *snapshot_;
  if (!s.fits(changes())) return true;
  const double cost = s.cost + step_seconds_;  // to look whether the loss is finite takes a step
  return s.steps + count > kMostSteps ||
         s.bytes + data_->data().bytes > std::max(kKeptBytes, snapshot_bytes()) ||
         now() - s.taken >= std::max(1.0, kSnapshotShare * cost);
}

// Takes a snapshot where one is due. Only weights with a finite loss and finite slots are worth
// remembering; false, a fault, and the old snapshot kept, when they turn out to be bad.
bool Session::remember(Position at, long count, const double* knobs) {
  Snapshot& s = *snapshot_;
  if (!due(count)) return true;
  if (s.fits(changes()) && s.steps > 0) {
    if (const int bad = training_->bad_loss_at(*data_, at, knobs); bad != Training::kFinite) {
      fault_ = Fault{"loss", training_->first_fault(*data_, at, knobs, bad)};
    } else if (const auto parameter = training_->faulty_slot()) {
      fault_ = Fault{"optimizer's state", {*parameter}};
    }
    if (fault_) return false;
  }
  const double checked = now();
  if (outcome_.weight.empty()) {  // the last to be had, where memory ends on the way
    s.segments.reserve(kMostSteps);
    s.knobs.reserve(kMostSteps * knob_columns());
    log_.reserve(2 * kMostSteps);
    ended_.reserve(2 * kMostSteps);
    ended_sums_.reserve(2 * kMostSteps * terms_.size());
    for (auto* column : {&outcome_.loss, &outcome_.right, &outcome_.weight}) {
      column->resize(kMostSteps * terms_.size());
    }
  }
  training_->save();
  s.segments.clear();
  s.knobs.clear();
  s.steps = s.bytes = 0;
  s.progress = progress_;
  s.changes = changes();
  s.valid = true;
  s.taken = now();
  s.cost = s.taken - checked;
  return true;
}

// From the snapshot, runs every step again but the last `steps`; the progress goes with it. The step after
// all of them is in `epoch`.
void Session::go_back(long steps, long epoch) {
  Snapshot& s = *snapshot_;
  const Progress before = progress_;
  training_->restore();
  const long known = progress_.steps - static_cast<long>(log_.size());  // losses before it are gone
  progress_ = s.progress;
  log_.clear();
  while (!ended_.empty() && ended_.back().steps > progress_.steps) ended_.pop_back();
  ended_sums_.resize(ended_.size() * terms_.size());
  long left = s.steps - std::min(steps, s.steps);
  for (const auto& segment : s.segments) {
    const long count = std::min(segment.count, left);
    // Of the first step that is not run again.
    if (left < segment.count)
      epoch = std::min(epoch, after(*segment.data, segment.at, count).epoch);
    left -= count;
    if (count == 0) continue;
    const double* const knobs = s.knobs.data() + segment.knobs;
    walk(*segment.data, segment.at, count, knobs, kForever, segment.separate, nullptr);
    tally(*segment.data, segment.at, count, knobs, segment.single, step_seconds_);
  }
  if (progress_.steps == before.steps) {
    progress_ = before;  // an epoch that had ended, or begun anew, did so after the last step
  } else if (progress_.epoch < epoch) {
    enter(epoch);
  }
  forget(known);
  s.segments.clear();
  s.valid = false;
}

// Of the steps since the snapshot, how many left all slots finite.
long Session::steps_with_finite_slots() {
  Snapshot& s = *snapshot_;
  training_->restore();
  long steps = 0;
  for (const auto& segment : s.segments) {
    for (long i = 0; i < segment.count; ++i, ++steps) {
      walk(*segment.data, after(*segment.data, segment.at, i), 1,
           s.knobs.data() + segment.knobs + i * knob_columns(), kForever, segment.separate,
           nullptr);
      if (training_->faulty_slot()) return steps;
    }
  }
  return steps;
}

// Goes back to before the step that left a slot not finite, and says which. False where there is none.
bool Session::settle_slots(long epoch) {
  if (!training_->faulty_slot()) return false;
  const long good = steps_with_finite_slots();
  const std::optional<std::string> parameter = training_->faulty_slot();
  if (!parameter) return false;  // it was half a step that did
  fault_ = Fault{"optimizer's state", {*parameter}};
  go_back(snapshot_->steps - good, epoch);
  return true;
}

// Is the loss of the last step's batch still finite? Then the batch after it is to blame, and not
// the update between.
bool Session::last_finite() const {
  if (snapshot_->segments.empty()) return true;
  const auto& last = snapshot_->segments.back();
  const double* const knobs =
      snapshot_->knobs.data() + last.knobs + (last.count - 1) * knob_columns();
  return training_->bad_loss_at(*last.data, after(*last.data, last.at, last.count - 1), knobs) ==
         Training::kFinite;
}

// Which weight the update takes out of the number format: it is done once more, and taken back.
void Session::name_update(Position at, const double* knobs) {
  fault_->what = "update";
  if (const auto parameter = training_->faulty_weight()) {  // it was so before
    fault_->origin = {*parameter, "weight", "forward"};
    return;
  }
  training_->save();
  walk(*data_, at, 1, knobs, kForever, separate(knobs, 1, data_->rows(at.batch)), nullptr);
  if (const auto parameter = training_->faulty_weight()) fault_->origin.where = *parameter;
  training_->restore();
}

// After a fault: the weights, slots and progress of the last step that was good. Those that were walked
// from `at` came before it.
void Session::settle(Position at, const Walked& walked, const double* knobs) {
  const long done = walked.done;
  const Position here = after(*data_, at, done);
  // Nobody looks at slots before a call ends, but where that is makes no difference.
  if (settle_slots(here.epoch)) return;
  if (fault_->what == "loss") {
    if (walked.half) return go_back(0, here.epoch);  // another objective has moved since that step
    // A step by itself is its caller's: what came before it stays.
    const bool stays = single_ || last_finite();
    if (done == 0 || !stays) return go_back(stays ? 0 : 1, here.epoch);
    tally(*data_, at, done, knobs, single_, step_seconds_);
    if (here.epoch > progress_.epoch) enter(here.epoch);
    return;
  }
  go_back(0, here.epoch);
  const double* const row = knobs + done * knob_columns();
  fault_->origin = training_->faulty_gradient(*data_, here, row, walked.objective);
  if (fault_->origin.direction == "update") name_update(here, row);
}

}  // namespace steep
