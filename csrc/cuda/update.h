// From gradients to new weights: which launches that takes for a recipe's groups of parameters.
#pragma once
#include <memory>
#include <vector>

#include "cuda/kernels/records.h"
#include "cuda/orthogonal.h"
#include "cuda/passes.h"
#include "plan/recipe.h"

namespace steep::cuda {

class Records;

class Update {
 public:
  // Of the parameters that a program's gradient moves; slots lie in columns from `first` on.
  Update(const Recipe& recipe, const std::vector<bool>& moved, const CudaStore& weights,
         const CudaStore& slots, int first, float* gradients, const Stream& stream);

  float* gradients() const { return gradients_; }
  bool looks_ahead() const { return looks_ahead_; }
  // Of each parameter, in the host's memory; and the lists that clipping together goes by.
  const std::vector<Ruled>& ruled() const { return host_ruled_; }
  const Clip& clip_lists() const { return clip_; }
  int tasks() const { return tasks_; }
  std::size_t bytes() const;

  // Reads from a row of knobs what launches depend on; whether that is another than before.
  bool take(const double* row);
  // One step from finished sums; `apart` where gradients are clipped together. It is recorded where there are records.
  void enqueue(const Place& at, bool apart, const Records* records = nullptr) const;
  // Along the sums to the point uphill, keeping what the weights were in `kept`; and back.
  void climb(const Place& at, float* kept) const;
  void come_back(const Place& at, float* kept) const;
  // Ends of a call, by the knobs of one of its steps: to the look-ahead point and back.
  void begin(const Place& at) const;
  void end(const Place& at, long done) const;

 private:
  struct Ours {  // a group that has parameters
    int rule;
    const RuleInfo* info;
    Group group;
    const Piece* pieces = nullptr;  // of parameters whose columns have a length
    int pieces_count = 0;
    std::unique_ptr<const Passes> passes = nullptr;  // of a rule that has two
    std::unique_ptr<const Orthogonal> orthogonal = nullptr;
    int steps = 0;  // that make a direction orthogonal

    int knob(const char* name) const { return group.knobs + kGroupKnobs + info->knob(name); }
  };
  Column column(bool apart) const;
  Noted noted(const Ours& ours, const Records& records) const;
  Uphill uphill(float* kept) const;
  void look(const Place& at, int row, const char* knob, bool back, bool bounded) const;

  float *const weights_, *const gradients_;
  const bool adaptive_;
  Memory lists_, sums_, moving_;
  std::vector<Ours> groups_;
  Clip clip_{};
  std::vector<Ruled> host_ruled_;
  const Ruled* ruled_ = nullptr;
  int tasks_ = 0;
  bool looks_ahead_ = false;
};

}  // namespace steep::cuda
