// Training on the device: slots, the plan of a step, the table of the steps of a call, and a step as a graph.
// Steps themselves are in steps.cpp.
#pragma once
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "cuda/records.h"
#include "cuda/resident.h"
#include "cuda/streamed.h"
#include "cuda/terms.h"

namespace steep::cuda {

// An objective in device memory.
struct Goal : Aim {
  int knobs;  // its first column of a row of the table
  int terms;  // its first one among those of all objectives
  std::unique_ptr<Plan> plan = nullptr;
  std::unique_ptr<Update> update = nullptr;
};

class CudaTraining : public Training {
 public:
  // With so many scalars in a row of the knob table.
  CudaTraining(std::vector<Aim> aims, int scalars, std::shared_ptr<CudaStore> weights,
               Products products);

  Store& slots() override { return slots_; }
  void reserve(long rows) override;
  Walked walk(const Stretch& stretch, Halt* halt) override;
  std::vector<Watched> watched() const override;
  int bad_loss_at(const Batcher& data, Position at, const double* knobs) override;
  Origin first_fault(const Batcher& data, Position at, const double* knobs, int objective) override;
  Origin faulty_gradient(const Batcher& data, Position at, const double* knobs,
                         int objective) override;
  std::optional<std::string> faulty_weight() override;
  std::optional<std::string> faulty_slot() override;
  double gradients(const Batcher& data, long step, int objective, const double* scalars,
                   const Penalties& penalties, const std::vector<void*>& outs, Halt& halt) override;
  void save() override;
  void restore() override;
  long bytes() const override;
  long plan_bytes() const override;
  long plan_bytes(long rows) const override;
  std::string steps_by() const override { return steps_by_; }
  std::string stored() const override;

 protected:
  // What a captured graph was made for.
  struct Key {
    Deal deal;
    std::vector<Samples> inputs, targets;
    std::vector<Truth> truths;
    Augmented augmented;
    bool apart;
    long at_once;
    int parts;
    bool operator==(const Key& other) const;
  };
  struct Captured {
    int rows, steps;
    // A bit for each objective, above them one for each that goes uphill, and one of a step that is recorded; of
    // passes without an update what kind it is.
    unsigned due;
    std::unique_ptr<Graph> graph;
  };
  // The table of a call: its steps, and what each has for every loss.
  struct Table {
    std::vector<StepRow> rows;   // (steps, parts)
    std::vector<TermRow> terms;  // (steps, terms)
    std::vector<int> sizes;      // rows of a step's batch
    std::vector<unsigned> due;
    std::vector<Chunk> chunks;  // of their samples, one after the other
  };
  static constexpr unsigned kRecorded = 1U << (2 * kObjectives);
  static unsigned uphill(unsigned due) { return due >> kObjectives & ((1U << kObjectives) - 1); }

  void add_row(Table& to, const Batcher& data, Position at, const double* knobs) const;
  void use(const Batcher& data);
  // The table of one step by itself, laid out, with its samples.
  Table alone(const Batcher& data, Position at, const double* knobs);
  // Writes the rows and knobs of a call, and puts the cursor on its first step.
  void lay_out(const Table& table, const double* knobs);
  // Steps of batches of up to so many rows stay in one block, where they can.
  void settle(long rows);
  std::string why_graphs(const Table& table) const;
  long table_bytes() const;
  void make_tables();
  Place place(long rows, int ahead = 0) const;
  Place place_of(const Goal& goal, Place at) const;
  void enqueue_step(const Place& at, unsigned due, bool apart);
  void enqueue_goal(const Goal& goal, const Place& at, unsigned due, bool apart);
  void enqueue_pass(const Goal& goal, const Place& at, bool more, bool held = false,
                    const Records* records = nullptr);
  // f(a part that goes forward and backward at once, whether there were others), until it is false.
  template <class F> void each_part(const Place& whole, F&& f) const {
    Place at = whole;
    for (long before = 0; before < whole.rows; before += at_once_, ++at.now.part) {
      at.rows = static_cast<int>(std::min(at_once_, whole.rows - before));
      if (!f(at, before > 0)) return;
    }
  }
  Key key_of(bool apart) const;
  // The graph of what enqueue() puts into the stream, made where it is not there yet.
  template <class F> const Graph& captured(int rows, int steps, unsigned due, F&& enqueue) {
    for (const Captured& c : graphs_) {
      if (c.rows == rows && c.steps == steps && c.due == due) return *c.graph;
    }
    for (const Goal& goal : goals_) goal.plan->get_ready(rows);
    auto made = std::make_unique<Graph>(stream_, std::forward<F>(enqueue));
    graphs_.push_back({rows, steps, due, std::move(made)});
    return *graphs_.back().graph;
  }
  const Graph& graph(int rows, int steps, unsigned due, bool apart);
  // Steps of the table from `from` on, `most` at the most, and fewer where `late` says so; how many.
  template <class Late>
  long enqueue(const Stretch& stretch, const Table& table, long from, long most, Late&& late);
  void launch(const Table& table, long from, long end, bool apart);
  // Room for what the steps of the table leave aside; whether what launches go by has moved.
  bool reserve_aside(const Table& table, const Recorded& recorded);
  void hand_out(const Stretch& stretch, long done) const;
  // Prepares one batch, with what its step would draw; where it goes.
  Place prepare(const Batcher& data, Position at, const double* knobs);
  // Its losses, sample by sample, of a term.
  std::vector<double> values(const Goal& goal, std::size_t term, long rows) const;
  void pass(const Goal& goal, const Place& at) const;  // with the gradients
  // Of a part of a batch.
  std::optional<Origin> first_fault(const Goal& goal, const Batcher& data, Position at,
                                    const Place& part) const;
  bool all_finite(const float* x, long n);
  std::vector<const Aim*> aims_of() const;
  const double* sums_of_step(int which) const;  // of one by itself: loss, right ones, weight
  // What a term adds to the objective, of the sum of its losses over a batch.
  static double weighted(const Goal& goal, std::size_t term, double loss, const Batcher& data,
                         Position at, const double* scalars);
  // Adds penalties of each parameter to a gradient, and to the objective, which it returns. On the host,
  // where both columns are.
  double penalise(const Goal& goal, const std::vector<double>& l1, const std::vector<double>& l2,
                  const float* w, float* g, double sum) const;

  const std::shared_ptr<CudaStore> weights_;
  const Products products_;
  const KnobRow knobs_;
  const Stream stream_, side_;
  const Event fork_, join_;
  CudaStore slots_;  // of one objective after the other
  Memory gradients_;
  std::vector<Goal> goals_;
  std::unique_ptr<ResidentSteps> resident_;
  std::unique_ptr<Records> records_;  // once steps are recorded
  std::string why_graphs_ = "nothing was asked for",
              steps_by_;  // of all batches, and of the last ones
  int terms_ = 0;         // of all of them
  Shown shown_;
  Key key_{};  // of the graphs there are
  std::vector<Captured> graphs_;
  Memory tables_;          // rows, terms, knobs, limits, cursor, sums of steps
  Pinned staged_, found_;  // what goes there, and what comes back
  Now now_{};
  double* sums_ = nullptr;  // (3, terms, steps): losses, right ones, weights
  long at_once_ = 1;        // rows, at most
  int parts_ = 1;           // of a step, at most
  Memory kept_weights_;     // of steps whose gradient is taken uphill
  Memory saved_weights_, saved_slots_, flag_;
  double step_seconds_ = 0;  // of the last steps
};

}  // namespace steep::cuda
