// Sets a session up and runs it; takes gradients, evaluates, and copies its state out.
#include "session/session.h"

#include <algorithm>
#include <limits>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "session/snapshot.h"

namespace steep {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
std::vector<std::string> names(const std::vector<SlotColumn>& columns) {
  std::vector<std::string> all;
  for (const SlotColumn& column : columns) all.push_back(column.name);
  return all;
}

const Recipe& checked(const Recipe& recipe, const Network& network) {
  check(recipe, network.graph().parameters().size());
  return recipe;
}

constexpr double kVerifyShare = 100;  // looking at the slots may cost a hundredth of the time

}  // namespace

Session::Session(std::shared_ptr<Network> network, const Objective& objective, const Recipe& recipe)
    : network_(std::move(network)), objective_(objective), recipe_(checked(recipe, *network_)),
      knob_columns_(recipe_.columns()),
      slots_(names(slot_columns(recipe_, network_->weights()->layout()))),
      training_(network_->device().training(training(network_->graph(), objective),
                                            network_->weights(), recipe)),
      snapshot_(std::make_unique<Snapshot>()) {}

Session::~Session() = default;

void Session::set_data(Dataset data, Order order) {
  const Inside alone(gate_, Inside::kWrite);
  const long rows = std::min(order.batch_size, data.samples);
  training_->reserve(order.at_once > 0 ? std::min(order.at_once, rows) : rows);
  take(std::make_shared<const Batcher>(std::move(data), order, recipe_.seed), false);
}

// A batch is copied for the way back. Blocks come free all at once, with a new snapshot: it is enough
// to look at the next one.
std::shared_ptr<Block> Session::free_copy(long bytes) {
  if (next_copy_ >= copies_.size()) next_copy_ = 0;
  const bool found = !copies_.empty() && copies_[next_copy_].use_count() <= 1;
  if (!found) next_copy_ = copies_.size();
  if (!found) copies_.emplace_back();
  std::shared_ptr<Block>& block = copies_[next_copy_++];
  if (!block || static_cast<long>(block->bytes()) < bytes) {
    block = std::make_shared<Block>(static_cast<std::size_t>(bytes));
  }
  return block;
}

// A copy lets the way back reach over steps to come. Where it costs more than a new snapshot it is not
// made, and the way back ends with the step.
void Session::set_batch(const Dataset& data) {
  const Inside alone(gate_, Inside::kWrite);
  training_->reserve(data.samples);
  data_ = nullptr;  // its copy may be the next
  const long bytes = copied_bytes(data);
  const Order order{.batch_size = data.samples};
  take(
      std::make_shared<const Batcher>(
          bytes < snapshot_bytes() ? copy_into(free_copy(bytes), data) : data, order, recipe_.seed),
      true);
}

void Session::release_data() {
  const Inside alone(gate_, Inside::kWrite);
  take(nullptr, false);
  if (snapshot_->segments.empty()) copies_.clear();
}

// The way back needs the data of the steps it goes over.
void Session::take(Data data, bool single) {
  data_ = std::move(data);
  single_ = single;
  snapshot_->forget_borrowed();
}

bool Session::separate(const double* knobs, long count, long rows) const {
  constexpr double kLongGradient = 4e10;  // flops: about 0.2 s on two cores
  if (recipe_.any_sparse() || data_->at_once(rows) < rows) return true;
  const auto limits = [&](int knob) {
    for (long i = 0; i < count; ++i) {
      if (knobs[i * knob_columns_ + knob] < kNoLimit) return true;
    }
    return false;
  };
  if (limits(kClipNorm) || climbs(knobs, count, knob_columns_)) return true;
  for (std::size_t g = 0; g < recipe_.rules.size(); ++g) {
    if (limits(recipe_.knobs(static_cast<int>(g)) + kClipParameter)) return true;
  }
  const double size = static_cast<double>(network_->weights()->layout().size);
  return 2.0 * size * static_cast<double>(rows) > kLongGradient;
}

// Where steps were done, and what became of the one after them.
Walked Session::walk(const Batcher& data, Position at, long count, const double* knobs,
                     double budget, bool separate, Halt* halt) {
  const Walked walked =
      training_->walk({&data, at, count, knobs, budget, separate, outcome_.loss.data(),
                       outcome_.right.data(), outcome_.weight.data()},
                      halt);
  step_seconds_ = walked.seconds;
  settled_ = walked.settled;
  return walked;
}

long Session::run(long count, const double* knobs, long known, double budget, Halt& halt) {
  const Inside alone(gate_, Inside::kWrite, &halt);
  if (!alone) return -1;
  const Inside training = train(&halt);
  if (!training) return -1;
  if (!data_) refuse("a run without data");
  const double start = now();
  fault_.reset();
  const Position at{progress_.epoch, single_ ? 0 : progress_.batch, progress_.steps};
  const bool epochs = recipe_.method && !single_;  // a step each
  const long left = data_->batches() - at.batch;
  count = std::min({count, epochs && left > 0 ? count : left, kMostSteps});
  if (count <= 0) return 0;
  const bool apart = separate(knobs, count, data_->rows(at.batch));
  const long logged = at.step - static_cast<long>(log_.size());
  log_.erase(log_.begin(), log_.begin() + std::clamp(known - logged, 0L, at.step - logged));
  long done = 0;
  if (remember(at, count)) {
    const Walked walked = walk(*data_, at, count, knobs, budget, apart, &halt);
    done = walked.done;
    if (walked.bad == Bad::Gradient) fault_ = Fault{"gradient", ""};
    if (walked.bad == Bad::Loss) {
      fault_ = Fault{"loss", training_->first_fault(*data_, after(at, done))};
    }
    snapshot_->add({data_, at, done, apart, single_}, knobs, knob_columns());
  }
  if (fault_) {
    settle(at, done, knobs);
  } else {
    tally(*data_, at, done, single_);
  }
  if (!single_) progress_.seconds += (now() - start) / (epochs ? std::max(1L, done) : 1);
  network_->weights()->note_change();
  snapshot_->changes = changes();
  publish();
  return std::max(0L, progress_.steps - at.step);
}

// Adds what the loop left to the progress.
void Session::tally(const Batcher& data, Position at, long done, bool single) {
  for (long i = 0; i < done; ++i) {
    const Position here = after(at, i);
    const double over =
        recipe_.weighted ? outcome_.weight[i] : static_cast<double>(data.rows(here.batch));
    log_.push_back({recipe_.mean && over > 0 ? outcome_.loss[i] / over : outcome_.loss[i],
                    outcome_.right[i] / outcome_.weight[i]});
    ++progress_.steps;
    if (single) continue;
    if (here.batch == 0) {
      const double seconds = here.epoch == progress_.epoch ? progress_.seconds : 0;
      progress_.begin_epoch(here.epoch);
      progress_.seconds = seconds;
    }
    progress_.batch = here.batch + 1;
    progress_.loss += outcome_.loss[i];
    progress_.right += outcome_.right[i];
    progress_.weight += outcome_.weight[i];
  }
}

void Session::publish() {
  steps_.store(progress_.steps, std::memory_order_relaxed);
  epoch_.store(progress_.epoch, std::memory_order_relaxed);
}

bool Session::verify(bool always, Halt& halt) {
  const Inside alone(gate_, Inside::kWrite, &halt);
  if (!alone) return true;
  if (verified_at_ == progress_.steps && verified_changes_ == state().changes()) return true;
  const double start = now();
  if (!always && start - verified_ < kVerifyShare * verify_seconds_) return true;
  const std::optional<std::string> parameter = training_->faulty_slot();
  verified_at_ = parameter ? -1 : progress_.steps;
  verified_changes_ = state().changes();
  verified_ = now();
  verify_seconds_ = verified_ - start;
  if (!parameter) return true;
  const Inside training = train(&halt);
  if (!training) return true;
  fault_ = Fault{"optimizer's state", *parameter};
  if (snapshot_->fits(changes())) {
    go_back(snapshot_->steps - steps_with_finite_slots());
    network_->weights()->note_change();
    publish();
  }
  return false;
}

std::optional<Fault> Session::fault() {
  const Inside reading(gate_, Inside::kRead);
  return fault_;
}

Progress Session::progress() {
  const Inside reading(gate_, Inside::kRead);
  return progress_;
}

void Session::set_progress(const Progress& progress) {
  const Inside alone(gate_, Inside::kWrite);
  progress_ = progress;
  log_.clear();
  snapshot_->valid = false;
  publish();
}

void Session::begin_epoch(bool next) {
  const Inside alone(gate_, Inside::kWrite);
  progress_.begin_epoch(progress_.epoch + (next ? 1 : 0));
  publish();
}

bool Session::settled() {
  const Inside reading(gate_, Inside::kRead);
  return settled_;
}

auto Session::losses(long first) -> std::pair<Progress, std::vector<Logged>> {
  const Inside reading(gate_, Inside::kRead);
  first = std::min(first, progress_.steps);
  const long logged = progress_.steps - static_cast<long>(log_.size());
  std::vector<Logged> out(std::max(0L, std::min(logged, progress_.steps) - first), {kNaN, kNaN});
  out.insert(out.end(), log_.begin() + std::clamp(first - logged, 0L, progress_.steps - logged),
             log_.end());
  return {progress_, std::move(out)};
}

double Session::gradients(const Dataset& data, const Penalties& penalties,
                          const std::vector<void*>& outs, Halt& halt) {
  const Inside alone(gate_, Inside::kWrite, &halt);
  if (!alone) return kNaN;
  const Inside looking = look(&halt);
  if (!looking) return kNaN;
  training_->reserve(data.samples);
  const Batcher batcher(data, {.batch_size = data.samples}, recipe_.seed);
  return training_->gradients(batcher, progress_.steps, penalties, outs, halt);
}

void Session::derive(const Dataset& data, const Derivative& wanted, Halt& halt) {
  const Inside alone(gate_, Inside::kWrite, &halt);
  if (!alone) return;
  const Inside looking = look(&halt);
  if (!looking) return;
  if (!tangent_) {
    tangent_ = network_->device().tangent(training(network_->graph(), objective_),
                                          network_->weights(), recipe_);
  }
  const Batcher batcher(data, {.batch_size = data.samples}, recipe_.seed);
  tangent_->derive(batcher, progress_.steps, wanted, halt);
}

Totals Session::evaluate(const Dataset& data, long batch_size, Halt& halt) {
  batch_size = std::min(batch_size, data.samples);
  const Inside looking = look(&halt);
  if (!looking) return {};
  const Shelf::Loan forward = evaluation_.take(batch_size, [&](long rows) {
    return network_->device().forward(evaluation(network_->graph(), objective_),
                                      network_->weights(), rows);
  });
  return forward->evaluate(Batcher(data, {.batch_size = batch_size}, recipe_.seed), halt);
}

Progress Session::copy_out(const std::vector<void*>& weights, const std::vector<void*>& slots) {
  const Inside reading(gate_, Inside::kRead);
  const Inside looking = look();
  const int parameters = static_cast<int>(weights.size());
  for (int p = 0; p < parameters; ++p) network_->weights()->get(0, p, weights[p]);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (slots[i] == nullptr) continue;
    state().get(static_cast<int>(i) / parameters, static_cast<int>(i) % parameters, slots[i]);
  }
  return progress_;
}

void Session::assign_slots(const std::vector<const void*>& slots) {
  const Inside alone(gate_, Inside::kWrite);
  const int parameters = static_cast<int>(state().layout().slices.size());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (slots[i] == nullptr) continue;
    state().set(static_cast<int>(i) / parameters, static_cast<int>(i) % parameters, slots[i]);
  }
}

}  // namespace steep
