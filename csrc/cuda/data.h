// Samples in device memory: whole data sets, or the rows of one batch after the other.
#pragma once
#include <memory>
#include <vector>

#include "cuda/runtime.h"
#include "data/batcher.h"
#include "graph/objective.h"

namespace steep::cuda {

// Dense rows [first, first + rows) of what a view shows, as floats or as they are.
void copy_rows(const Source& from, Format format, long first, long rows, std::byte* to);

// A part of a data set on the device; labels, targets and weights are there where the data have them.
class DeviceData {
 public:
  explicit DeviceData(const Stream& stream) : stream_(stream) {}
  // Samples [first, first + count). Memory is used again where it is large enough.
  void load(const Dataset& data, long first, long count);

  const std::vector<Samples>& inputs() const { return inputs_; }
  const std::vector<Samples>& targets() const { return targets_; }
  const Augmented& augmented() const { return augmented_; }  // without its seed
  // Of a loss, without an order.
  Truth truth(const LossTerm& term) const;
  long bytes() const { return static_cast<long>(memory_.bytes()); }

 private:
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
  class Parcel;
  void add_rows(Parcel& parcel, const Source& s, Format format, long first, long count,
                Samples& to) const;
  // Of samples in the device's memory: read where they lie if kernels can. Targets are dense floats.
  void add_theirs(Parcel& parcel, const Source& s, bool target, long first, long count,
                  Samples& to) const;
  void add_windows(Parcel& parcel, const Source& s, long first, long count, Samples& to) const;
  void send_rows(const Source& s, Format format, long first, long count, std::byte* to) const;
  void add_augmented(Parcel& parcel, const Augment& of);
  void add_labels(Parcel& parcel, const Positions& of, long first, long count, Labels& to) const;
  void add_positions(Parcel& parcel, const Positions& of, long first, long count, Placed& to) const;

  const Stream& stream_;
  Memory memory_;
  std::vector<Samples> inputs_, targets_;
  Augmented augmented_{};
  std::vector<Labels> labels_;  // of each array of targets; none where it has values
  std::vector<const double*> weights_;
  std::vector<Placed> of_targets_, of_weights_;
};

// The data set that steps are on. One after the other they use the same memory, so that graphs stay what
// they are from one training to the next.
class Shown {
 public:
  explicit Shown(const Stream& stream) : data_(stream) {}
  const DeviceData& of(const Batcher& batcher) {
    if (number_ != batcher.number()) {
      number_ = -1;  // of none, where loading fails
      data_.load(batcher.data(), 0, batcher.data().samples);
      number_ = batcher.number();
    }
    return data_;
  }

 private:
  long number_ = -1;
  DeviceData data_;
};

}  // namespace steep::cuda
