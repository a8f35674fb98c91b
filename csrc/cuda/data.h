// Samples in device memory: whole data sets, or the rows of one batch after the other.
#pragma once
#include "cuda/samples.h"

namespace steep::cuda {

// A part of a data set on the device; labels, targets and weights are there where the data have them.
class DeviceData : public DeviceArrays {
 public:
  explicit DeviceData(const Stream& stream) : stream_(stream) {}
  // Samples [first, first + count). Memory is used again where it is large enough.
  void load(const Dataset& data, long first, long count);
  // The bytes that all of its samples would take; what was loaded is forgotten.
  long measure(const Dataset& data);
  long bytes() const { return static_cast<long>(memory_.bytes()); }
  Memory& memory() { return memory_; }

 private:
  class Parcel;
  Parcel pack(const Dataset& data, long first, long count);
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
};

}  // namespace steep::cuda
