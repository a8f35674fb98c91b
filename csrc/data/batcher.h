// The samples of one batch: which they are, and reading their inputs, targets and weights.
#pragma once
#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "base/memory.h"
#include "data/augment.h"
#include "data/permutation.h"
#include "data/positions.h"
#include "data/source.h"

namespace steep {

// What a loss wants of each sample: labels, or values.
struct Targets {
  const int32_t* labels = nullptr;  // (samples)
  bool on_device = false;           // where the labels are
  Source values = {};               // its data is null when labels are given
  Positions positions = {};         // of a loss that takes them one by one
};

// Views of the user's arrays; whoever fills it in keeps them alive.
struct Dataset {
  std::vector<Source> inputs;
  std::vector<Targets> targets = {};
  std::vector<const double*> weights = {};  // of samples, (samples) each
  std::vector<Positions> weighed = {};      // the same arrays where they are of positions
  long samples = 0;
  std::optional<Augment> augment = {};  // of the one input; training only
  // What all of it lies in where it is a copy; null where it is the user's.
  std::shared_ptr<const void> memory = {};
  long bytes = 0;  // of the copy
  // What lies in the device's memory and is ours; `memory` has none of it.
  std::vector<std::shared_ptr<const std::byte>> on_device = {};

  // Positions that a loss takes one by one: of array `target` of targets or, where those have none, of
  // array `i` of weights; null where it takes a sample as a whole.
  const Positions* positions_of(int i, int target) const {
    const bool there = target >= 0 && target < static_cast<int>(targets.size());
    if (there && targets[target].positions.any()) return &targets[target].positions;
    if (i < 0 || i >= static_cast<int>(weighed.size()) || !weighed[i].any()) return nullptr;
    return &weighed[i];
  }
  // Array `i` of sample weights, null where there is none; of positions the sums of theirs.
  const double* weights_of(int i, int target) const {
    if (const Positions* of = positions_of(i, target)) return of->sums;
    return i < 0 || i >= static_cast<int>(weights.size()) ? nullptr : weights[i];
  }
};

// A copy that stays what it is, whatever its owner does to the arrays, in a block of at least
// copied_bytes().
long copied_bytes(const Dataset& data);
Dataset copy_into(std::shared_ptr<Block> block, const Dataset& data);

// How samples are dealt into batches.
struct Order {
  long batch_size = 1;
  long at_once = 0;  // samples that go forward and backward together; 0 for all of a batch
  bool shuffle = false;
  bool drop_last = false;  // a short last batch
};

class Batcher {
 public:
  Batcher() = default;
  Batcher(Dataset data, Order order, uint64_t seed)
      : data_(std::move(data)), order_(order), seed_(seed), number_(++made_) {}

  const Dataset& data() const { return data_; }
  long number() const { return number_; }  // no other batcher's but of its copies
  long batch_size() const { return order_.batch_size; }
  bool shuffles() const { return order_.shuffle; }
  long batches() const {
    return (data_.samples + (order_.drop_last ? 0 : order_.batch_size - 1)) / order_.batch_size;
  }
  long rows(long batch) const {
    return std::min(order_.batch_size, data_.samples - batch * order_.batch_size);
  }
  // The most of `count` batches from one on, into later epochs.
  long most_rows(long batch, long count) const {
    return rows(batch + count > batches() ? 0 : batch);
  }
  // Of a batch of so many rows.
  long at_once(long rows) const {
    return order_.at_once > 0 ? std::min(order_.at_once, rows) : rows;
  }
  // Sample numbers of rows [lo, hi), of which row 0 is sample `from` of a batch, into order[lo..hi); by a kernel that
  // deals as Permutation::deal does.
  template <class Deal>
  void order(uint64_t epoch, long batch, long from, long lo, long hi, long* order,
             Deal deal) const {
    const long first = batch * order_.batch_size + from;
    if (order_.shuffle) {
      deal(shuffled(epoch), static_cast<uint64_t>(first + lo), hi - lo, order + lo);
    } else {
      for (long r = lo; r < hi; ++r) order[r] = first + r;
    }
  }
  // The number of the sample in a row of a batch.
  long sample(uint64_t epoch, long batch, long row) const {
    long found = 0;
    each(epoch, batch, 0, row, row + 1, [&](long, long sample) { found = sample; });
    return found;
  }
  // The sum of the weights of a batch that a loss goes by, added row by row.
  double weight(uint64_t epoch, long batch, int i, int target) const {
    const double* const weights = data_.weights_of(i, target);
    if (weights == nullptr) return static_cast<double>(rows(batch));
    return sum(epoch, batch, weights);
  }
  // How many positions of a batch count, of targets that a loss takes one by one.
  double positions(uint64_t epoch, long batch, const Positions& of) const {
    return sum(epoch, batch, of.counts);
  }

 private:
  double sum(uint64_t epoch, long batch, const double* of) const {
    double sum = 0;
    each(epoch, batch, 0, 0, rows(batch), [&](long, long sample) { sum += of[sample]; });
    return sum;
  }
  // Calls f(r, sample) for rows [lo, hi).
  template <class F>
  void each(uint64_t epoch, long batch, long from, long lo, long hi, F f) const {
    const long first = batch * order_.batch_size + from;
    if (!order_.shuffle) {
      for (long r = lo; r < hi; ++r) f(r, first + r);
      return;
    }
    const Permutation shuffled = this->shuffled(epoch);
    for (long r = lo; r < hi; ++r) {
      f(r, static_cast<long>(shuffled(static_cast<uint64_t>(first + r))));
    }
  }
  Permutation shuffled(uint64_t epoch) const {
    return {seed_, epoch, static_cast<uint64_t>(data_.samples)};
  }

  Dataset data_;
  Order order_;
  uint64_t seed_ = 0;
  long number_ = 0;
  static inline std::atomic<long> made_{0};
};

}  // namespace steep
