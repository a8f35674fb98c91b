// From what a batch left to new weights: gradients, penalties, clipping and the rules, block by block;
// and for look-ahead rules the way to the point of the gradient and back. A block is done by one thread;
// which one changes nothing.
#pragma once
#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "cpu/directions.h"
#include "cpu/plan.h"
#include "plan/recipe.h"

namespace steep {

// The rule of a parameter, where its group has its knobs, and where its slots begin.
template <class T> struct Ruled {
  int rule;
  const RuleInfo* info;
  int group, knobs;
  int slots_of_block;  // that have a part for each block: none where rows and columns have them
  bool simple;         // one pass over all rows, and no average and no bounds
  bool decays;         // penalties and decay are its
  bool sparse;         // and a matrix: rows without a gradient are left alone
  bool turned;         // its rows are stored as columns
  long panels;
  long offset;  // of the parameter in a column of weights
  Extent extent;
  T* slots[kMaxSlots];
  T* average;          // of its weights, or null
  const Slice* slice;  // how it lies, and its bounds
  bool alone;          // it has neither an average nor bounds

  T* slot(int i, long at) const { return slots[i] + (at - offset); }
};
// Of each parameter; the slots lie in the columns that slot_columns() says, from the first one on.
template <class T>
std::vector<Ruled<T>> ruled(const Recipe& recipe, const CpuStore<T>& weights,
                            const std::vector<SlotColumn>& columns, const CpuStore<T>& slots,
                            int first);

// Where an objective's knobs begin in a row of so many columns.
struct KnobPlace { int first, columns; };

// What a task gives to numbers of its whole parameter or of all, and its factor of clipping.
struct TaskSums {
  double squares, terms[kMaxTerms], scale;
  uint64_t rows;  // those with a gradient, a bit each
};

// Of a recorded step, a task's part: squares of its weights before, of its gradient before and after clipping,
// and of what the step added.
struct TaskNorms { double weight, gradient, clipped, update; };

template <class T> class Update {
 public:
  // One step's row of a knob table, with the rule's knobs of the group that was last asked for.
  class Knobs {
   public:
    explicit Knobs(const double* row) : row_(row) {}
    double shared(SharedKnob knob) const { return row_[knob]; }
    double of(const Ruled<T>& r, GroupKnob knob) const { return row_[r.knobs + knob]; }
    double of(const Ruled<T>& r, const char* knob) const {
      return row_[r.knobs + kGroupKnobs + r.info->knob(knob)];
    }
    bool recorded = false;  // whether the step is
    const T* own(const Ruled<T>& r) {
      if (r.group != group_) convert(r);
      return own_;
    }

   private:
    static constexpr int kMost = 32;
    void convert(const Ruled<T>& r);

    const double* row_;
    int group_ = -1;
    T own_[kMost];
  };

  // Tasks [first, last).
  struct Share { std::size_t first, last; };

  // separate(), and rules that keep gradients, want room for those of all parameters; there are sums for
  // each task. Directions may be null where no rule has any.
  Update(const Plan<T>& plan, const CpuStore<T>& weights, const CpuStore<T>& slots,
         const Recipe& recipe, const std::vector<Ruled<T>>& ruled, KnobPlace place, T* gradients,
         TaskSums* sums, TaskNorms* norms, Directions<T>* directions);

  // Ends of a run by a look-ahead rule, nothing for others: the weights become the point, and w again
  // after `done` steps. The way there and back is exact after a step only: what was kept is found again
  // where none was done.
  bool looks_ahead() const { return looks_ahead_; }
  void keep_weights();
  void begin(const double* knobs) const;
  void end(const double* knobs, long done) const;

  // Of one thread: contiguous, equal shares of the parameters.
  Share share(int thread, int threads) const;
  Knobs read(const double* table, long step) const {
    return Knobs(table + step * place_.columns + place_.first);
  }

  // Each gradient, and its update while it is in cache. Where a rule wants sums over whole parameters,
  // the threads meet before its second pass. False where a new weight is not finite.
  bool fused(Share share, long rows, Knobs& knobs, int thread, int threads) const;
  // All gradients first, or those that were collected, which are clipped together; no update where their
  // norm is not finite, or where the halt was wanted: then thread 0 has noted it. The threads meet inside.
  bool separate(Share share, long rows, bool collected, Knobs& knobs, int thread, int threads,
                Halt* halt, std::atomic<bool>& halted) const;

  // Gradients of some rows, added to those of earlier ones or the first.
  void collect(Share share, long rows, bool add) const;
  // Moves the weights uphill along the gradients that were collected (Foret et al. 2021), and keeps what
  // they were; the threads meet inside, and must before the weights are read. False, and nothing moved,
  // where a gradient is not finite.
  bool climb(Share share, const Knobs& knobs, T* kept, int threads) const;
  void come_back(Share share, const T* kept) const;
  // After a recorded step: the numbers of each parameter.
  void put_norms(double* to) const;

 private:
  using Terms = std::array<double, kMaxTerms>;
  struct Lengths { double total, shrunk; };  // of all gradients, made smaller by `shrunk`

  const Ruled<T>& rule_of(std::size_t task) const { return ruled_[plan_.tasks()[task].parameter]; }
  bool plain(const Ruled<T>& r, const Knobs& knobs) const;
  bool stays(const Ruled<T>& r, const Knobs& knobs) const;
  template <class Kernel>
  auto with_penalties(Kernel kernel, const GradTask<T>& task, T* g, const Knobs& knobs) const;
  double finish(const GradTask<T>& task, T* g, const Knobs& knobs) const;
  UpdateArgs<T> arguments(const GradTask<T>& task, const Ruled<T>& r, const T* g, Knobs& knobs,
                          double scale) const;
  // records.cpp
  double measured_finish(std::size_t task, T* g, const Knobs& knobs, bool clips) const;
  void measure_clipped(std::size_t task, double scale) const;
  void find_weights(const GradTask<T>& task, const Knobs& knobs, const char* look, T* out) const;
  void keep_block(std::size_t task, const Knobs& knobs, T* before) const;
  void measure_move(std::size_t task, const T* before, const Knobs& knobs) const;
  void measure_bounded(Share share, const Knobs& knobs, int threads) const;
  bool notes_gradient(const Ruled<T>& r, const Knobs& knobs) const;
  bool measured_step(std::size_t task, const UpdateArgs<T>& a, const Knobs& knobs,
                     bool measured) const;

  uint64_t moving_rows(const GradTask<T>& task, const T* g) const;
  bool sparse_step(std::size_t task, const UpdateArgs<T>& a) const;
  bool turned_step(const GradTask<T>& task, const UpdateArgs<T>& a, uint64_t rows) const;
  static constexpr int kMostColumns = 2 + kMaxSlots;
  int blocks(const GradTask<T>& task, T** columns) const;
  bool first_pass(std::size_t task, T* g, Knobs& knobs, double scale) const;
  bool step(std::size_t task, const UpdateArgs<T>& a, const Knobs& knobs) const;
  bool move(std::size_t task, const UpdateArgs<T>& a, const Knobs& knobs) const;
  bool second_pass(Share share, Knobs& knobs, int thread, int threads) const;
  enum class When { Before, After };  // of a step, an average sees the weights
  void follow(const Ruled<T>& r, long offset, long n, const Knobs& knobs, When when) const;
  // What bounds ask for, element by element of a block; of whole columns once all blocks are there.
  void bound(const Ruled<T>& r, long offset, long n, double look) const;
  void bound_columns(const Knobs& knobs, int thread, int threads) const;
  void bound_panels(const Ruled<T>& r, long first, long last, const Knobs& knobs) const;
  Terms terms(int parameter) const;
  double factor(int parameter, Knobs& knobs, T decay) const;
  // Between the two passes, where there are directions; the threads meet at the end.
  void make_directions(Share share, Knobs& knobs, int thread, int threads) const;
  void make_orthogonal(const Knobs& knobs, int thread, int threads) const;
  void measure_factors(std::size_t task, const UpdateArgs<T>& a) const;
  void combine_factors(Factored<T>& f, const Knobs& knobs) const;
  double length(int parameter) const;
  double clipped(int parameter, const Knobs& knobs, double shrunk) const;
  Lengths norm(Share share, const Knobs& knobs, int threads) const;
  void shrink(const GradTask<T>& task, double factor) const;
  void scale(Share share, const Knobs& knobs, Lengths lengths) const;
  template <class F> void each_ahead(F&& part) const;

  const Plan<T>& plan_;
  const Kernels<T>& k_;
  const std::vector<Ruled<T>>& ruled_;
  const bool adaptive_;
  const KnobPlace place_;
  const bool large_;  // more than stays in cache from one step to the next
  const long size_;   // elements of a column of weights
  T* const w_;
  T* const gradients_;
  TaskSums* const sums_;
  TaskNorms* const norms_;
  Directions<T>* const directions_;
  bool looks_ahead_ = false, two_passes_ = false, bounds_columns_ = false;
  bool past_caches_ = false;  // gradients that are kept go there
  bool held_ = false;         // the weights stay in a core's cache for a whole update
  std::vector<T> kept_;
  std::unique_ptr<T[]>
      bounded_;  // weights before a recorded step, where bounds of columns come after it
};

}  // namespace steep
