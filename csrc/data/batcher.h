// The samples of one batch: which they are, and reading their inputs, targets and weights.
#pragma once
#include <algorithm>
#include <optional>
#include <vector>

#include "data/augment.h"
#include "data/permutation.h"
#include "data/source.h"

namespace steep {

// Views of the user's arrays; whoever fills it in keeps them alive.
struct Dataset {
  std::vector<Source> inputs;
  const int32_t* labels = nullptr;  // (samples), or
  Source targets;                   // values; data is null when labels are given
  const double* weights = nullptr;  // (samples) or null
  long samples = 0;
  std::optional<Augment> augment = {};  // of the one input; training only
};

class Batcher {
 public:
  Batcher() = default;
  Batcher(Dataset data, long batch_size, uint64_t seed, bool shuffle)
      : data_(std::move(data)), batch_size_(batch_size), seed_(seed), shuffle_(shuffle) {}

  const Dataset& data() const { return data_; }
  long batch_size() const { return batch_size_; }
  long batches() const { return (data_.samples + batch_size_ - 1) / batch_size_; }
  // The last batch keeps what is left.
  long rows(long batch) const { return std::min(batch_size_, data_.samples - batch * batch_size_); }
  // Sample numbers of rows [lo, hi) of a batch, into order[lo..hi).
  void order(uint64_t epoch, long batch, long lo, long hi, long* order) const {
    const long first = batch * batch_size_;
    if (!shuffle_) {
      for (long r = lo; r < hi; ++r) order[r] = first + r;
      return;
    }
    const Permutation shuffled(seed_, epoch, static_cast<uint64_t>(data_.samples));
    for (long r = lo; r < hi; ++r) {
      order[r] = static_cast<long>(shuffled(static_cast<uint64_t>(first + r)));
    }
  }

 private:
  Dataset data_;
  long batch_size_ = 1;
  uint64_t seed_ = 0;
  bool shuffle_ = false;
};

}  // namespace steep
