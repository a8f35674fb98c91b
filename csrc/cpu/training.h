// Training on the CPU: slots, the plans of its objectives, gradients where they are kept, and a copy of
// weights and slots. Steps themselves are in run.cpp.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cpu/pace.h"
#include "cpu/update.h"
#include "graph/shared.h"

namespace steep {

// An objective bound to memory.
template <class T> struct Goal : Aim {
  int knobs;                         // its first column of a row of the table
  std::size_t terms;                 // its first one among those of all objectives
  Shared shared = {};                // of its pass, what the first objective has done
  std::vector<Ruled<T>> ruled = {};  // by parameter
  std::unique_ptr<Directions<T>> directions = nullptr;
  std::unique_ptr<Plan<T>> plan = nullptr;
  std::vector<TaskSums> sums = {};       // of each task
  std::vector<TaskNorms> norms = {};     // of each task, where steps are recorded
  std::vector<T> kept_statistics = {};   // of steps that go in parts
  std::optional<Update<T>> update = {};  // of the walk under way
};

constexpr int kMostObjectives = 8;

template <class T> class CpuTraining : public Training {
 public:
  CpuTraining(std::vector<Aim> aims, int scalars, std::shared_ptr<CpuStore<T>> weights);

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

 protected:
  CpuTraining(std::vector<Aim> aims, int scalars, std::shared_ptr<CpuStore<T>> weights,
              const std::vector<Recipe>& recipes);
  struct Loop;
  const double* scalars_of(const double* knobs) const { return knobs + row_.scalars; }
  Step<T> at(const Goal<T>& goal, const Batcher& data, Position at, const double* scalars) const;
  Update<T>& begin_update(Goal<T>& goal);
  int threads_for_rows(long rows);
  void keep_gradients();
  // f(a step) for the parts of it that go forward and backward at once, until it is false.
  template <class F> void each_part(Step<T> step, F&& f) const;
  bool climbs(const Stretch& stretch) const;
  void prepare_records(int threads);
  void share();
  long arena_bytes(long rows, const std::vector<std::vector<long>>& places) const;
  // Places of the tensors that objectives hand on, by objective and tensor; and how many bytes these are.
  std::pair<std::vector<std::vector<long>>, long> kept_places(long rows) const;

  const std::shared_ptr<CpuStore<T>> weights_;
  const Kernels<T>& k_;
  const KnobRow row_;
  CpuStore<T> slots_;  // of one objective after the other
  std::vector<Goal<T>> goals_;
  std::size_t terms_ = 0;                      // of all of them
  std::shared_ptr<Block> handed_on_;           // tensors of one objective for later ones
  std::unique_ptr<CpuStore<T>> gradients_;     // made when first asked for
  std::unique_ptr<CpuStore<T>> kept_weights_;  // of steps whose gradient is taken uphill
  std::vector<T> saved_weights_, saved_slots_;
  Pace pace_{};
  double step_seconds_ = 0;  // of the last steps
};

}  // namespace steep
