// What recorded steps of a training need on the device: room for what is kept and summed, the ops that they
// watch, and a table with a row for each step, which comes down once a call. What a row holds, the executor says.
#pragma once
#include <vector>

#include "cuda/kernels/records.h"
#include "cuda/store.h"
#include "executor.h"

namespace steep::cuda {

class Update;

class Records {
 public:
  // Of a program's activations, for batches of up to so many rows and calls of so many steps.
  Records(const std::vector<Watched>& watched, long rows, long steps, const Update& update,
          const CudaStore& weights, const Stream& stream);
  Records(Records&&) = delete;  // graphs point into it

  // Of a call's steps those that are recorded: makes room for their rows, and says whether what launches go by has
  // moved.
  bool lay_out(const std::vector<bool>& recorded, long columns);
  // An op's output, right after it is there.
  void note(const Place& at, int op, const View& out) const;
  // Once a pass over a batch or a part of it is done.
  void add(const Place& at) const;
  // Once the step is done.
  void put(const Place& at) const;
  // Sends the first rows down; they are there when the stream is.
  void fetch(long rows, double* to) const;

  float* kept() const { return kept_.as<float>(); }
  TaskNorms* norms() const { return norms_.as<TaskNorms>(); }

 private:
  const Stream& stream_;
  const int* const first_;  // task of each parameter
  const int parameters_;
  Memory kept_, norms_, numbers_, list_, table_, places_;
  Pinned staged_;
  std::vector<WatchedOp> ops_;
  long columns_ = 0;
};

}  // namespace steep::cuda
