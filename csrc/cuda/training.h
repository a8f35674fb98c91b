// Training on the device: slots, the plan of a step, the table of the steps of a call, and a step as a graph.
// Steps themselves are in steps.cpp.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cuda/update.h"

namespace steep::cuda {

class CudaTraining final : public Training {
 public:
  // With so many scalars in a row of the knob table.
  CudaTraining(Aim aim, int scalars, std::shared_ptr<CudaStore> weights);

  Store& slots() override { return slots_; }
  void reserve(long rows) override;
  Walked walk(const Stretch& stretch, Halt* halt) override;
  int bad_loss_at(const Batcher& data, Position at, const double* knobs) override;
  std::string first_fault(const Batcher& data, Position at, const double* knobs,
                          int objective) override;
  std::string faulty_parameter(const Batcher& data, Position at, const double* knobs,
                               int objective) override;
  std::optional<std::string> faulty_slot() override;
  double gradients(const Batcher& data, long step, int objective, const double* scalars,
                   const Penalties& penalties, const std::vector<void*>& outs, Halt& halt) override;
  void save() override;
  void restore() override;
  long bytes() const override { return slots_.bytes() + update_.bytes(); }
  long plan_bytes() const override { return plan_ ? plan_->bytes() : 0; }
  long plan_bytes(long rows) const override { return Plan::bytes(program_, rows); }

 private:
  // What a captured graph was made for.
  struct Key {
    Deal deal;
    std::vector<Samples> inputs, targets;
    std::vector<Truth> truths;
    bool apart;
    bool operator==(const Key& other) const;
  };
  struct Captured {
    int rows, steps;
    std::unique_ptr<Graph> graph;
  };

  StepRow row_of(const Batcher& data, Position at, const double* scalars) const;
  const double* scalars_of(const double* knobs) const { return knobs + knobs_.scalars; }
  void use(const Batcher& data);
  // Writes rows and knobs of a call, and puts the cursor on its first step.
  void lay_out(const std::vector<StepRow>& rows, const double* knobs);
  void make_tables();
  Place place(long rows, int ahead = 0) const;
  void enqueue_step(const Place& at, bool apart);
  const Graph& graph(int rows, int steps, bool apart);
  long enqueue(const std::vector<StepRow>& rows, long from, long most, bool apart);
  // One batch forward, with what its step would draw; the losses of its samples, term by term.
  std::vector<std::vector<double>> losses_at(const Batcher& data, Position at,
                                             const double* scalars);
  bool all_finite(const float* x, long n);

  const Program program_;
  const std::shared_ptr<CudaStore> weights_;
  const Recipe recipe_;
  const KnobRow knobs_;
  const Stream stream_, side_;
  const Event fork_, join_;
  const std::vector<SlotColumn> columns_;
  CudaStore slots_;
  Update update_;
  Shown shown_;
  std::unique_ptr<Plan> plan_;
  Key key_{};  // of the graphs there are
  std::vector<Captured> graphs_;
  Memory tables_;          // rows, knobs, limits, cursor, sums of steps
  Pinned staged_, found_;  // what goes there, and what comes back
  Now now_{};
  double* sums_ = nullptr;  // (3, losses, steps): losses, right ones, weights
  Memory saved_weights_, saved_slots_, flag_;
  double step_seconds_ = 0;  // of the last steps
};

}  // namespace steep::cuda
