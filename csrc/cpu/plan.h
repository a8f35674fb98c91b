// A Plan: the ops of a Program bound to memory and kernels. Its calls lie in phases: of rows, where
// they run on any range of samples, and of calls that cross samples; then come the gradient tasks,
// each of which owns one block of one parameter.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/halt.h"
#include "base/memory.h"
#include "cpu/conv/conv.h"
#include "cpu/kernels.h"
#include "cpu/store.h"
#include "cpu/watch.h"
#include "data/batcher.h"
#include "executor.h"
#include "plan/schedule.h"

namespace steep {

// An op bound to memory.
template <class T> struct BoundCall {
  Call<T> run;
  Work<T> work;
  int out;           // tensor it writes, for finding where a fault began
  int before;        // tensor it writes besides, as a fused activation's gradient wants it
  long units;        // that threads share, of a call that crosses samples
  std::string name;  // layer
  const char* op;
  bool backward;
  bool found;        // an objective before may have done it
  int watched = -1;  // which of the ops that recorded steps watch
};

// What plans that run one after the other hand on: tensors of theirs in a block of its own.
struct Kept {
  std::vector<long> offset = {};  // by tensor, bytes, or -1; or empty for none
  std::vector<bool> found = {};   // by tensor, whether it may be there already; or empty
  std::shared_ptr<Block> block = nullptr;
};

// Calls that go together: all on samples of many positions, or all on vectors, or crossing samples.
template <class T> struct Phase {
  bool crosses;
  bool meets;  // all threads, before it
  long chunk;  // rows at a time, whose activations fit into a cache
  std::vector<BoundCall<T>> calls;
};

// Running statistics of one batch normalisation, and the batch's own that they follow: a row for each
// group of samples.
template <class T> struct Running {
  T *mean, *variance;                    // parameters
  const T *batch_mean, *batch_variance;  // biased
  long ld;                               // from group to group
  ops::Normalizing of;
};

// What is something else after a step: a vector of the power method, or a row of numbers for each row of a
// batch.
template <class T> struct Iterated {
  T* parameter;
  const T* next;
  long n;
  long ld = 0, rows = 1;  // of next; of the parameter
};

// A block of a parameter and the terms of its gradient: rows [lo, hi) of one panel of a matrix, or
// columns [lo, hi) of a vector. Blocks depend on shapes only, so every number of threads adds up
// the same terms in the same order.
template <class T> struct Term {
  GradTerm::Form form;
  const T* left;  // null, or x at the block's first row (Outer) or column (SumProduct)
  long ld_left;
  const T* right;  // dy at the block's first column
  long ld_right;
  long samples;        // that a row of dy stands for
  long positions = 1;  // rows of x and of dy in one of ld, dense: so wide
  long left_width = 0, right_width = 0;
  bool part = false;           // of rows that hold other numbers, too: none of them is padding
  const T* lengths = nullptr;  // positions that count, of the first sample
  long ld_lengths = 0;
  // Of Scatter: the id of the block's first row, one that is passed over, and whether rows are columns.
  long first = 0, skipped = -1;
  bool turned = false;
};

constexpr long kLargestTask = 2048;  // elements of the largest block
// Gradient, weights and two slots of one block fit into a 48 KiB first-level cache together.
constexpr long kBlockRows = 64;
constexpr long kBlockColumns = 512;  // of a vector
// Where a pass is all there is, small matrices should be work for several threads, too.
constexpr long kLowRows = 16;

template <class T> struct GradTask {
  int parameter;
  long offset, size;   // of the block in a Store column
  long rows, columns;  // of the block; a vector block is (1, columns)
  long present;        // columns that are no padding
  std::vector<Term<T>> terms;
};

template <class T> class Plan {
 public:
  // Binds a program for up to `capacity` rows over the weights' first column; into `arena`, where it is
  // large enough, which plans that run one after the other may share.
  Plan(Program program, const Kernels<T>& kernels, std::shared_ptr<CpuStore<T>> weights,
       long capacity, std::shared_ptr<Block> arena = nullptr, Kept kept = {});
  // Bytes that such a plan would allocate, the scratch memory of `threads` included, what is kept not.
  static long bytes(Program program, const Kernels<T>& kernels,
                    std::shared_ptr<CpuStore<T>> weights, long capacity, int threads,
                    const std::vector<long>& kept = {});

  Plan(Plan&&) = delete;  // calls point into it

  long capacity() const { return capacity_; }
  const std::shared_ptr<Block>& arena() const { return arena_; }
  // Of tensors, and of the scratch memory of the threads that were needed so far.
  long arena_bytes() const {
    std::size_t bytes = arena_->bytes();
    for (const Block& block : scratch_) bytes += block.bytes();
    return static_cast<long>(bytes);
  }
  double cost_per_row() const { return cost_per_row_; }

  // Makes place for so many threads; nothing is allocated while a plan runs.
  void reserve_threads(int threads);

  // One thread's part of all phases; the threads meet between two of them. False when a loss of
  // its rows, or statistics of the batch, are not finite. Where the halt is wanted it returns soon,
  // and what it computed is worth nothing. `found`: what an objective before has done is there.
  bool run(const Step<T>& step, int thread, int threads, bool found = false,
           Watch<T>* watch = nullptr) const;
  // The same for programs that only go forward, whose rows need nobody else's: what comes first,
  // once for as long as the weights stay, then rows [lo, hi) of a batch.
  void prepare(int thread, int threads) const;
  bool run_rows(const Step<T>& step, int thread, long lo, long hi) const;
  // Lets running statistics follow those of the last batch, or of its part from row `first` on. They can be
  // kept, in room for so many numbers, and put back.
  void follow_statistics(long rows, long first = 0) const;
  std::size_t statistics() const;
  void keep_statistics(T* kept) const;
  void put_statistics(const T* kept) const;

  const std::vector<GradTask<T>>& tasks() const { return tasks_; }
  // The tasks of parameter p lie from first_task(p) to first_task(p + 1).
  std::size_t first_task(int parameter) const { return first_tasks_[parameter]; }
  // Sums the block's gradient into g. Meanwhile asks for the block in the `columns` columns
  // that the update will read from memory. False where it is 0 because no sample names its rows.
  bool gradient(const GradTask<T>& task, long rows, T* g, int columns = 0,
                T* const* blocks = nullptr) const;
  // Adds it to g, which has that of earlier rows.
  void add_gradient(const GradTask<T>& task, long rows, T* g) const;

  T* row(int tensor, long r) const { return buffers_[tensor] + r * strides_[tensor]; }
  long width(int tensor) const { return program_.tensors[tensor].width; }
  const std::vector<LossTerm>& losses() const { return program_.losses; }
  // Of a term, (capacity): the loss of each sample, and 1 where it was right.
  double* values(std::size_t term) const { return each_.values + place(term); }
  double* correct(std::size_t term) const { return each_.correct + place(term); }
  long* order() const { return each_.order; }  // (capacity)
  PerRow<T> each(std::size_t term) const {     // what its loss reads and writes
    PerRow<T> of = each_;
    of.values = values(term);
    of.correct = correct(term);
    return of;
  }
  // Makes room for what recorded steps note of activations.
  void watch(int threads);
  Watch<T>* watching() const { return watch_.get(); }
  // The first call whose output has a value that is not finite in rows [0, rows), or the loss of a sample.
  std::optional<Origin> first_fault(const Step<T>& step) const;

 private:
  struct Unbound {};
  Plan(Program program, const Kernels<T>& kernels, std::shared_ptr<CpuStore<T>> weights,
       long capacity, Unbound)
      : program_(std::move(program)), k_(kernels), weights_(std::move(weights)),
        capacity_(capacity) {}
  Step<T> own(const Step<T>& step, int thread) const;  // with the thread's scratch memory
  void run_phase(const Phase<T>& phase, const Step<T>& step, long lo, long hi, bool found,
                 Watch<T>* watch = nullptr, int thread = 0) const;
  void run_shared(const Phase<T>& phase, const Step<T>& step, int thread, int threads,
                  bool found) const;
  long place(std::size_t term) const { return static_cast<long>(term) * capacity_; }
  bool finite_losses(long lo, long hi) const;
  bool finite_statistics(long rows, int thread, int threads) const;
  // The first row of what a call wrote that is not finite; -1 where there is none.
  long faulty_row(const BoundCall<T>& call, long samples) const;
  long faulty_loss(const BoundCall<T>& call, long rows) const;
  // See invariants.h: is the padding of what a call wrote in rows [lo, hi) zero?
  void check_output(const BoundCall<T>& call, long lo, long hi) const;
  // plan_bind.cpp
  void prepare();
  const Conv<T>& conv_of(const ops::Convolving& op, int weight);
  void drop_packs();
  void allocate(const Schedule& schedule);
  void bind(const Op& op, bool backward);
  int watched_by(const Op& op) const;
  Work<T> work_of(const Op& op) const;
  const void* made_for(const Op& op);
  long units_of(const Op& op, const Work<T>& work) const;
  View<T> view(int tensor) const;
  T* parameter(int p) const { return weights_->column(0) + weights_->layout().slices[p].offset; }
  void bind_tasks();
  void add_task(int parameter, long panel, long lo, long length);
  bool scatter(const GradTask<T>& task, const Term<T>& term, long rows, T* g) const;
  bool sum_terms(const GradTask<T>& task, long rows, T* g, bool accumulate, int columns,
                 T* const* blocks) const;
  void outer(const GradTask<T>& task, const Term<T>& term, long lo, long hi, long first, long rows,
             T* g, bool accumulate) const;
  void outer_positions(const GradTask<T>& task, const Term<T>& term, long rows, T* g,
                       bool accumulate) const;
  void prefetch(const GradTask<T>& task, long lo, long hi, int columns, T* const* blocks) const;

  Program program_;
  const Kernels<T>& k_;
  std::shared_ptr<CpuStore<T>> weights_;
  long capacity_;
  double cost_per_row_ = 0;
  std::shared_ptr<Block> arena_;
  Kept kept_;
  std::vector<T*> buffers_;    // by tensor
  std::vector<long> strides_;  // leading dimensions
  PerRow<T> each_;
  std::vector<Phase<T>> phases_;
  std::vector<Running<T>> running_;
  std::vector<Iterated<T>> iterated_;
  std::vector<std::shared_ptr<const void>> made_;                     // what calls point to
  std::map<int, std::vector<std::shared_ptr<const Conv<T>>>> convs_;  // by parameter
  std::vector<GradTask<T>> tasks_;
  std::vector<std::size_t> first_tasks_;
  std::vector<Watched> watched_;
  std::unique_ptr<Watch<T>> watch_;
  int watching_threads_ = 0;
  long scratch_elements_ = 0;
  std::vector<Block> scratch_;  // of each thread
};

}  // namespace steep
