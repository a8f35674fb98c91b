// The arrays of a data set as kernels find them, and rows of samples out of the user's arrays, whatever their
// strides.
#pragma once
#include <vector>

#include "cuda/runtime.h"
#include "data/batcher.h"
#include "graph/objective.h"

namespace steep::cuda {

// What takes less memory as it is than as floats stays so.
Format kept(Format format);
// Dense rows [first, first + rows) of what a view shows, as floats or as they are.
void copy_rows(const Source& from, Format format, long first, long rows, std::byte* to);
// The same of the samples that a list names.
void copy_samples(const Source& from, Format format, const long* samples, long count,
                  std::byte* to);

// Where the device has the inputs, targets, labels and weights of a data set, if it has them.
class DeviceArrays {
 public:
  const std::vector<Samples>& inputs() const { return inputs_; }
  const std::vector<Samples>& targets() const { return targets_; }
  const Augmented& augmented() const { return augmented_; }  // without its seed
  // Of a loss, without an order.
  Truth truth(const LossTerm& term) const;

 protected:
  DeviceArrays() = default;
  ~DeviceArrays() = default;

  // Of an array of targets or weights, what a loss may want of its positions; none where there are 0.
  struct Placed {
    int count = 0;
    const float* weights = nullptr;
    const double* sums = nullptr;
  };
  struct Labels {
    const int32_t* data = nullptr;
    long apart = 1;  // from sample to sample
  };
  void make_room(const Dataset& data);

  std::vector<Samples> inputs_, targets_;
  Augmented augmented_{};
  std::vector<Labels> labels_;  // of each array of targets; none where it has values
  std::vector<const double*> weights_;
  std::vector<Placed> of_targets_, of_weights_;
};

}  // namespace steep::cuda
