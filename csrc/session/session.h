// A Session trains a network: where the training stands, what it trains on, its log and its faults. Steps
// are the device's, see executor.h; the way back to the last good weights is in rewind.cpp.
#pragma once
#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plan/recipe.h"
#include "session/network.h"
#include "session/recording.h"

namespace steep {

// Why a step was not done. Which one it is, the progress says: the one after those it counts.
struct Fault {
  std::string what;  // "loss", "gradient", "update", or a slot of the optimizer
  Origin origin;
};

// Of one term, over the epoch in progress, in order of steps.
struct Sums {
  double loss = 0;      // of sample losses, ...
  double weighted = 0;  // ... and by the weight that the term had at each step
  double right = 0;     // of the weights of samples that were right
  double weight = 0;    // of all samples
  double samples = 0;
};

// Where a training stands.
struct Progress {
  long epoch = 0;               // epochs done
  long batch = 0;               // batches done of the epoch in progress
  long steps = 0;               // updates done
  std::vector<Sums> sums = {};  // of the terms of all objectives
  double seconds = 0;           // spent on the epoch

  void begin_epoch(long number) {
    epoch = number;
    batch = 0;
    seconds = 0;
    std::fill(sums.begin(), sums.end(), Sums{});
  }
};

// What a session is made for: an objective, and how its parameters are moved, after every so many steps.
struct Aimed {
  Objective objective;
  Recipe recipe;
  long every = 1;
};

// Any thread may call any method, with nothing locked. One call works at a time; those that only
// read what a session holds go side by side.
class Session {
 public:
  // Objectives of a graph that has all of the network's and more, with so many scalars a step.
  Session(std::shared_ptr<Network> network, std::shared_ptr<const Graph> graph,
          std::vector<Aimed> goals, int scalars);
  ~Session();

  // What the coming steps train on: epochs of batches, or one batch by itself, again and again.
  // A data set that does not own its memory is forgotten at the next call of these.
  void set_data(Dataset data, Order order);
  void set_batch(const Dataset& data);
  void release_data();

  // See _core.pyi; knobs is (count, knob_columns()), from step progress().steps on, over as many epochs as
  // there are. -1 where the halt was wanted before it began.
  long run(long count, const double* knobs, long known, double budget, Halt& halt);
  // False, and the way back found, where slots hold values that are not finite. Looks `always`, or
  // as often as it costs next to nothing.
  bool verify(bool always, Halt& halt);
  std::optional<Fault> fault();

  Progress progress();
  long steps() const { return steps_.load(std::memory_order_relaxed); }  // without waiting
  long epoch() const { return epoch_.load(std::memory_order_relaxed); }
  void set_progress(const Progress& progress);
  void begin_epoch(bool next);  // anew, or the next one
  // An epoch that a run went past.
  struct Ended {
    long epoch, steps;  // which one, and the updates done when it was over
    double seconds;
  };
  // Where it stands, with the losses of steps [first, steps done), the sums of all terms by their weights:
  // NaN for those it was told are known, none where it stands before `first`. And the epochs that runs
  // went past since then, with the sums of all terms of each.
  struct Record {
    Progress progress;
    std::vector<double> losses;
    std::vector<Ended> ended;
    std::vector<Sums> sums;  // (ended, terms)
  };
  Record record(long first);
  // Records every so-manyth step from now on, 0 for none. Refused where steps cannot be recorded.
  void set_recording(long every);
  // What was recorded of steps from `known` on; of those before it is forgotten.
  Recording::Rows recorded(long known);
  // The ops with an activation, as rows have them after the parameters.
  std::vector<Watched> watched() const { return training_->watched(); }
  // Whether the last step of a method for full batches found nothing left to gain, or was the last that its
  // evaluations allowed: so many of the objective; runs end with the step that goes beyond `most`.
  bool settled();
  long evaluations();
  void limit_evaluations(long most);

  // An objective of one batch in training mode; gradients of all parameters to outs, where not null.
  // NaN where the halt was wanted.
  double gradients(const Dataset& data, int objective, const double* scalars,
                   const Penalties& penalties, const std::vector<void*>& outs, Halt& halt);
  // Derivatives of one batch in training mode, of the first objective or of the first output; see
  // executor.h.
  void derive(const Dataset& data, const double* scalars, const Derivative& wanted, Halt& halt);
  // Of the terms of all objectives.
  std::vector<Totals> evaluate(const Dataset& data, long batch_size, Halt& halt);

  // Everything at one moment: parameters to weights, slot by slot to slots, null where a parameter has
  // none; returns the progress.
  Progress copy_out(const std::vector<void*>& weights, const std::vector<void*>& slots);
  // Sets slot by slot; the weights are the network's.
  void assign_slots(const std::vector<const void*>& slots);

  const std::vector<std::string>& slots() const { return slots_; }  // names of columns of the state
  Store& state() { return training_->slots(); }
  const Network& network() const { return *network_; }
  Gate& gate() { return gate_; }
  const std::vector<Aimed>& goals() const { return goals_; }
  const std::vector<LossTerm>& terms() const { return terms_; }
  const KnobRow& knob_row() const { return row_; }
  int knob_columns() const { return row_.columns; }
  long state_bytes() const { return training_->bytes(); }
  // What training takes: on batches of so many rows, as it is, and for the copy that finds back to the
  // last good weights.
  long plan_bytes(long rows) const { return training_->plan_bytes(rows); }
  long plan_bytes() const { return training_->plan_bytes(); }
  std::string steps_by() const { return training_->steps_by(); }
  std::string stored() const { return training_->stored(); }
  long snapshot_bytes() const { return network_->weights()->bytes() + training_->slots().bytes(); }

 private:
  struct Snapshot;
  using Data = std::shared_ptr<const Batcher>;

  // What a stretch of steps left, a number a step and term: sums over its batch.
  struct Outcome { std::vector<double> loss, right, weight; };

  Inside train(Halt* halt) { return {network_->weights()->gate(), Inside::kWrite, halt}; }
  Inside look(Halt* halt = nullptr) { return {network_->weights()->gate(), Inside::kRead, halt}; }
  long changes() const { return network_->weights()->changes() + training_->slots().changes(); }

  std::shared_ptr<Block> free_copy(long bytes);
  void take(Data data, bool single);
  // Whether gradients are finished before the first update: to clip them by norm, or to be able to
  // stop a step that takes long.
  bool separate(const double* knobs, long count, long rows) const;
  Walked walk(const Batcher& data, Position at, long count, const double* knobs, double budget,
              bool separate, Halt* halt, Recorded recorded = {}, long evaluations = kUnlimited);
  void tally(const Batcher& data, Position at, long done, const double* knobs, bool single,
             double seconds);
  double add_step(long i, Position here, double rows, const double* scalars,
                  std::vector<Sums>* sums) const;
  long steps_within(double budget) const;
  void enter(long epoch);
  void forget(long known);
  void publish();

  // rewind.cpp
  bool remember(Position at, long count, const double* knobs);
  bool due(long count) const;
  void go_back(long steps, long epoch);
  void settle(Position at, const Walked& walked, const double* knobs);
  void name_update(Position at, const double* knobs);
  bool last_finite() const;
  long steps_with_finite_slots();
  bool settle_slots(long epoch);

  Gate gate_;
  const std::shared_ptr<Network> network_;
  const std::shared_ptr<const Graph> graph_;  // of all objectives
  const std::vector<Aimed> goals_;
  const std::vector<LossTerm> terms_;  // of all of them
  const KnobRow row_;
  const std::vector<std::string> slots_;
  const std::unique_ptr<Training> training_;
  std::unique_ptr<Tangent> tangent_, tangent_of_output_;  // made when first asked for
  Shelf evaluation_;
  Data data_;
  std::vector<std::shared_ptr<Block>> copies_;  // of batches, used again where nobody has them
  std::size_t next_copy_ = 0;
  bool single_ = false;  // the data are one batch by itself
  std::optional<Fault> fault_;
  bool settled_ = false;
  long evaluations_ = 0, most_evaluations_ = kUnlimited;
  Progress progress_;
  std::atomic<long> epoch_{0}, steps_{0};  // of the progress, for those who do not wait
  std::vector<double> log_;                // losses of the last steps
  std::vector<Ended> ended_;               // epochs that were gone past during these
  std::vector<Sums> ended_sums_;           // (ended, terms)
  Outcome outcome_;
  Recording recording_;
  std::unique_ptr<Snapshot> snapshot_;
  double step_seconds_ = 0;                   // of the last run
  double verified_ = 0, verify_seconds_ = 0;  // when slots were looked at last, and what it took
  long verified_at_ = -1, verified_changes_ = 0;  // after which step, and which assignments
};

}  // namespace steep
