// From what a batch left to new weights: gradients, penalties, clipping and the rule, block by block; and
// for look-ahead rules the way to the point of the gradient and back. A block is done by one thread;
// which one changes nothing.
#pragma once
#include <atomic>
#include <vector>

#include "cpu/plan.h"
#include "plan/rules.h"

namespace steep {

template <class T> class Update {
 public:
  // One step's knobs: those of all rules, and the rule's own.
  static constexpr int kMostKnobs = 32;
  struct Knobs {
    const double* common;
    T own[kMostKnobs];
  };

  // Tasks [first, last).
  struct Share { std::size_t first, last; };

  // separate() wants room for gradients of all parameters, and for a number for each task.
  Update(const Plan<T>& plan, const CpuStore<T>& weights, const CpuStore<T>& slots,
         const Recipe& recipe, T* gradients, double* squares);

  // Ends of a run by a look-ahead rule, nothing for others: the weights become the point, and w again
  // after `done` steps. The way there and back is exact after a step only: what was kept is found again
  // where none was done.
  void keep_weights();
  void begin(const double* knobs) const;
  void end(const double* knobs, long done) const;

  // Of one thread: contiguous, equal shares of the parameters.
  Share share(int thread, int threads) const;
  Knobs read(const double* table, long step) const {
    const int n = info_.columns();
    Knobs knobs;
    knobs.common = table + step * n;
    for (int c = kCommonKnobs; c < n; ++c) {
      knobs.own[c - kCommonKnobs] = static_cast<T>(knobs.common[c]);
    }
    return knobs;
  }

  // Each gradient, and its update while it is in cache. False where a new weight is not finite.
  bool fused(Share share, long rows, const Knobs& knobs, int threads) const;
  // All gradients first, which are clipped together; no update where their norm is not finite, or where
  // the halt was wanted: then thread 0 has noted it. The threads meet inside.
  bool separate(Share share, long rows, const Knobs& knobs, int thread, int threads, Halt* halt,
                std::atomic<bool>& halted) const;

 private:
  template <class F> void move(F&& part) const;
  double finish(const GradTask<T>& task, T* g, const Knobs& knobs) const;
  bool apply(const GradTask<T>& task, const T* g, const Knobs& knobs, T scale) const;
  void shrink(Share share, double factor) const;
  double norm(Share share, int threads, double& shrunk) const;

  const Plan<T>& plan_;
  const Kernels<T>& k_;
  const RuleInfo& info_;
  const int rule_;
  const bool decay_bias_;
  const bool large_;            // more than stays in cache from one step to the next
  const long size_;             // elements of a column
  T* column_[1 + kMaxSlots]{};  // weights, then slots
  int columns_ = 1;
  T* const gradients_;
  double* const squares_;  // of each task's gradient
  std::vector<T> kept_;
};

}  // namespace steep
