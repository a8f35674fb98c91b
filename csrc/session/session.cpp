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
std::vector<Recipe> recipes(const std::vector<Aimed>& goals) {
  std::vector<Recipe> all;
  for (const Aimed& goal : goals) all.push_back(goal.recipe);
  return all;
}

// Slots of several objectives bear their names.
std::vector<std::string> names(const std::vector<Aimed>& goals, const Layout& weights) {
  std::vector<std::string> all;
  for (const Aimed& goal : goals) {
    const std::string prefix = goals.size() > 1 ? goal.objective.name + "/" : "";
    for (const SlotColumn& column : slot_columns(goal.recipe, weights)) {
      all.push_back(prefix + column.name);
    }
  }
  return all;
}

std::vector<LossTerm> all_terms(const std::vector<Aimed>& goals) {
  std::vector<LossTerm> all;
  for (const Aimed& goal : goals) {
    all.insert(all.end(), goal.objective.terms.begin(), goal.objective.terms.end());
  }
  return all;
}

std::vector<Aim> aims(const std::vector<Aimed>& goals, const Graph& graph) {
  std::vector<Aim> all;
  for (const Aimed& goal : goals) {
    all.push_back({training(graph, goal.objective), goal.recipe, goal.every});
  }
  return all;
}

// Between two objectives the weights are the weights, and no point ahead of them.
std::vector<Aimed> checked(std::vector<Aimed> goals, const Graph& graph) {
  if (goals.empty()) refuse("a training needs an objective");
  const std::size_t parameters = graph.parameters().size();
  for (Aimed& goal : goals) {
    check(goal.recipe, parameters);
    if (goal.every < 1) refuse("every must be at least 1, got ", goal.every);
    goal.objective.moves.resize(parameters, true);
    goal.objective.frozen.resize(parameters, false);
    for (int g = 0; goals.size() > 1 && g < static_cast<int>(goal.recipe.rules.size()); ++g) {
      const RuleInfo& rule = goal.recipe.rule(g);
      if (goal.recipe.method || rule.look_ahead) {
        refuse("objective \"", goal.objective.name, "\": the rule ", rule.name,
               goal.recipe.method ? " takes all samples at once" : " looks ahead of the weights",
               ", which is for one objective only");
      }
    }
  }
  return goals;
}

// Every number of a step that losses and ops ask for must be there.
int checked_scalars(int scalars, const std::vector<Aimed>& goals, const Graph& graph) {
  const auto check = [&](const std::string& who, int scalar) {
    if (scalar >= scalars) refuse(who, ": a step has ", scalars, " scalars, got number ", scalar);
  };
  for (const Aimed& goal : goals)
    for (const LossTerm& term : goal.objective.terms) check(term.name, term.scalar);
  for (const Op& op : graph.ops()) {
    if (const auto* of = op.as<ops::GradientReversal>()) check(op.layer, of->scalar);
    if (const auto* of = op.as<ops::Dropout>()) check(op.layer, of->scalar);
  }
  return scalars;
}

constexpr double kVerifyShare = 100;  // looking at the slots may cost a hundredth of the time

}  // namespace

Session::Session(std::shared_ptr<Network> network, std::shared_ptr<const Graph> graph,
                 std::vector<Aimed> goals, int scalars)
    : network_(std::move(network)), graph_(std::move(graph)),
      goals_(checked(std::move(goals), *graph_)), terms_(all_terms(goals_)),
      row_(recipes(goals_), checked_scalars(scalars, goals_, *graph_)),
      slots_(names(goals_, network_->weights()->layout())),
      training_(network_->device().training(aims(goals_, *graph_), scalars, network_->weights())),
      snapshot_(std::make_unique<Snapshot>()) {
  progress_.sums.resize(terms_.size());
}

Session::~Session() = default;

void Session::set_data(Dataset data, Order order) {
  const Inside alone(gate_, Inside::kWrite);
  const long rows = std::min(order.batch_size, data.samples);
  training_->reserve(order.at_once > 0 ? std::min(order.at_once, rows) : rows);
  take(std::make_shared<const Batcher>(std::move(data), order, goals_[0].recipe.seed), false);
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
  take(std::make_shared<const Batcher>(
           bytes < snapshot_bytes() ? copy_into(free_copy(bytes), data) : data, order,
           goals_[0].recipe.seed),
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
  if (data_->at_once(rows) < rows) return true;
  for (std::size_t k = 0; k < goals_.size(); ++k) {
    const Recipe& recipe = goals_[k].recipe;
    const double* const own = knobs + row_.first[k];
    const auto limits = [&](int knob) {
      for (long i = 0; i < count; ++i) {
        if (own[i * row_.columns + knob] < kNoLimit) return true;
      }
      return false;
    };
    if (recipe.any_sparse() || limits(kClipNorm) || climbs(own, count, row_.columns)) return true;
    for (std::size_t g = 0; g < recipe.rules.size(); ++g) {
      if (limits(recipe.knobs(static_cast<int>(g)) + kClipParameter)) return true;
    }
  }
  const double size = static_cast<double>(network_->weights()->layout().size);
  return 2.0 * size * static_cast<double>(rows) > kLongGradient;
}

// Where steps were done, and what became of the one after them.
Walked Session::walk(const Batcher& data, Position at, long count, const double* knobs,
                     double budget, bool separate, Halt* halt, Recorded recorded,
                     long evaluations) {
  const Walked walked =
      training_->walk({&data, at, count, knobs, budget, separate, outcome_.loss.data(),
                       outcome_.right.data(), outcome_.weight.data(), recorded, evaluations},
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
  const long left = data_->batches() - at.batch;
  count = std::min({count, left > 0 && !single_ ? count : left, kMostSteps, steps_within(budget),
                    recording_.most(at.step)});
  if (count <= 0) return 0;
  const bool apart = separate(knobs, count, data_->most_rows(at.batch, count));
  forget(known);
  Walked walked{0, Bad::Nothing, 0};
  if (remember(at, count, knobs)) {
    walked = walk(*data_, at, count, knobs, budget, apart, &halt,
                  recording_.prepare(at.step, count), most_evaluations_ - evaluations_);
    evaluations_ += walked.evaluations;
    if (walked.bad == Bad::Gradient) fault_ = Fault{"gradient", {}};
    if (walked.bad == Bad::Loss) {
      fault_ = Fault{"loss",
                     training_->first_fault(*data_, after(*data_, at, walked.done),
                                            knobs + walked.done * row_.columns, walked.objective)};
    }
    snapshot_->add({data_, at, walked.done, apart, single_}, knobs, knob_columns());
  }
  const long done = walked.done;
  if (fault_) {
    settle(at, walked, knobs);
  } else {
    tally(*data_, at, done, knobs, single_,
          (now() - start) / static_cast<double>(std::max(1L, done)));
  }
  recording_.cut(progress_.steps);
  network_->weights()->note_change();
  snapshot_->changes = changes();
  publish();
  return std::max(0L, progress_.steps - at.step);
}

// How many steps a call is to prepare for: those past its budget would be left.
long Session::steps_within(double budget) const {
  constexpr double kMargin = 2;  // they may become faster
  if (!(step_seconds_ > 0)) return kMostSteps;
  return 1 + static_cast<long>(std::min(kMargin * budget / step_seconds_, 1e9));
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
  fault_ = Fault{"optimizer's state", {*parameter}};
  if (snapshot_->fits(changes())) {
    settle_slots(progress_.epoch);
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
  ended_.clear();
  ended_sums_.clear();
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

long Session::evaluations() {
  const Inside reading(gate_, Inside::kRead);
  return evaluations_;
}

void Session::limit_evaluations(long most) {
  const Inside alone(gate_, Inside::kWrite);
  most_evaluations_ = most;
}

double Session::gradients(const Dataset& data, int objective, const double* scalars,
                          const Penalties& penalties, const std::vector<void*>& outs, Halt& halt) {
  const Inside alone(gate_, Inside::kWrite, &halt);
  if (!alone) return kNaN;
  const Inside looking = look(&halt);
  if (!looking) return kNaN;
  training_->reserve(data.samples);
  const Batcher batcher(data, {.batch_size = data.samples}, goals_[0].recipe.seed);
  return training_->gradients(batcher, progress_.steps, objective, scalars, penalties, outs, halt);
}

void Session::derive(const Dataset& data, const double* scalars, const Derivative& wanted,
                     Halt& halt) {
  const Inside alone(gate_, Inside::kWrite, &halt);
  if (!alone) return;
  const Inside looking = look(&halt);
  if (!looking) return;
  const bool output = wanted.kind == Derivative::kOutputs;
  std::unique_ptr<Tangent>& tangent = output ? tangent_of_output_ : tangent_;
  if (!tangent) {
    Objective objective =
        goals_[0].objective;  // what is asked of an output knows no loss, but has one
    if (output)
      objective.terms = {
          {.name = "output", .tensor = graph_->outputs()[0], .loss = 0, .target = 0}};
    tangent = network_->device().tangent(training(*graph_, objective), network_->weights(),
                                         goals_[0].recipe);
  }
  const Batcher batcher(data, {.batch_size = data.samples}, goals_[0].recipe.seed);
  tangent->derive(batcher, progress_.steps, scalars, wanted, halt);
}

std::vector<Totals> Session::evaluate(const Dataset& data, long batch_size, Halt& halt) {
  batch_size = std::min(batch_size, data.samples);
  const Inside looking = look(&halt);
  if (!looking) return {};
  const Shelf::Loan forward = evaluation_.take(batch_size, [&](long rows) {
    return network_->device().forward(evaluation(*graph_, terms_), network_->weights(), rows);
  });
  return forward->evaluate(Batcher(data, {.batch_size = batch_size}, goals_[0].recipe.seed), halt);
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
