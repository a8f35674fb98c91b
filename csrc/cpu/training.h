// Training on the CPU: slots, the plan of a training step, gradients where they are kept, and a copy of
// weights and slots. Steps themselves are in run.cpp.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cpu/pace.h"
#include "cpu/update.h"

namespace steep {

template <class T> class CpuTraining : public Training {
 public:
  CpuTraining(Program program, std::shared_ptr<CpuStore<T>> weights, const Recipe& recipe);

  Store& slots() override { return slots_; }
  void reserve(long rows) override;
  Walked walk(const Stretch& stretch, Halt* halt) override;
  bool finite_at(const Batcher& data, Position at) override;
  std::string first_fault(const Batcher& data, Position at) override;
  std::string faulty_parameter(const Batcher& data, Position at, const double* knobs) override;
  std::optional<std::string> faulty_slot() override;
  double gradients(const Batcher& data, long step, const Penalties& penalties,
                   const std::vector<void*>& outs, Halt& halt) override;
  void save() override;
  void restore() override;
  long bytes() const override;
  long plan_bytes() const override { return plan_ ? plan_->arena_bytes() : 0; }
  long plan_bytes(long rows) const override;

 protected:
  CpuTraining(Program program, std::shared_ptr<CpuStore<T>> weights, const Recipe& recipe,
              const std::vector<SlotColumn>& columns);
  struct Loop;
  Step<T> at(const Batcher& data, Position at) const;
  Update<T> update();
  int threads_for_rows(long rows);
  void keep_gradients();
  // f(a step) for the parts of it that go forward and backward at once, until it is false.
  template <class F> void each_part(Step<T> step, F&& f) const;

  const Program program_;
  const std::shared_ptr<CpuStore<T>> weights_;
  const Kernels<T>& k_;
  const Recipe recipe_;
  CpuStore<T> slots_;
  const std::vector<Ruled<T>> ruled_;          // by parameter
  std::unique_ptr<CpuStore<T>> gradients_;     // made when first asked for
  std::unique_ptr<CpuStore<T>> kept_weights_;  // of steps whose gradient is taken uphill
  std::vector<T> kept_statistics_;             // of steps that go in parts
  std::unique_ptr<Plan<T>> plan_;
  std::vector<TaskSums> sums_;  // of each task
  std::unique_ptr<Directions<T>> directions_;
  std::vector<T> saved_weights_, saved_slots_;
  Pace pace_;
  double step_seconds_ = 0;  // of the last steps
};

}  // namespace steep
