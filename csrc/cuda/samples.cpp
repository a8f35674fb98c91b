// Copies samples out of the user's arrays; what a loss finds of them on the device.
#include "cuda/samples.h"

#include <algorithm>
#include <cstring>

namespace steep::cuda {

namespace {

constexpr long kAhead = 4;  // samples that are asked for before they are read

template <class T> void make_floats(const std::byte* from, long n, long stride, std::byte* to) {
  for (long i = 0; i < n; ++i) {
    T value;
    std::memcpy(&value, from + i * stride, sizeof(T));
    const float single = static_cast<float>(value);
    std::memcpy(to + i * static_cast<long>(sizeof(float)), &single, sizeof(float));
  }
}

void make_floats(Format format, const std::byte* from, long n, long stride, std::byte* to) {
  switch (format) {
    case Format::Float64: return make_floats<double>(from, n, stride, to);
    case Format::UInt8: return make_floats<uint8_t>(from, n, stride, to);
    case Format::UInt16: return make_floats<uint16_t>(from, n, stride, to);
    case Format::Int32: return make_floats<int32_t>(from, n, stride, to);
    case Format::Int64: return make_floats<int64_t>(from, n, stride, to);
    default: return make_floats<float>(from, n, stride, to);
  }
}

// `to` moves on behind what was written.
void copy_axis(const Source& s, Format format, std::size_t axis, const std::byte* from,
               std::byte*& to) {
  const long n = s.shape[axis], stride = s.strides[axis], item = bytes_of(format);
  if (axis + 1 < s.shape.size()) {
    for (long i = 0; i < n; ++i) copy_axis(s, format, axis + 1, from + i * stride, to);
    return;
  }
  const bool as_it_is = s.format == format;
  if (stride == item && as_it_is) {
    std::memcpy(to, from, static_cast<std::size_t>(n * item));
  } else if (as_it_is) {
    const auto size = static_cast<std::size_t>(item);
    for (long i = 0; i < n; ++i) std::memcpy(to + i * item, from + i * stride, size);
  } else {
    make_floats(s.format, from, n, stride, to);
  }
  to += n * item;
}

}  // namespace

Format kept(Format format) {
  const bool small = format == Format::UInt8 || format == Format::UInt16;
  return small ? format : Format::Float32;
}

void copy_rows(const Source& from, Format format, long first, long rows, std::byte* to) {
  for (long r = first; r < first + rows; ++r) {
    copy_axis(from, format, 0, from.data + r * from.sample_stride, to);
  }
}

void copy_samples(const Source& from, Format format, const long* samples, long count,
                  std::byte* to) {
  for (long r = 0; r < count; ++r) {
    prefetch_sample(from, samples[std::min(r + kAhead, count - 1)]);
    copy_axis(from, format, 0, from.data + samples[r] * from.sample_stride, to);
  }
}

void DeviceArrays::make_room(const Dataset& data) {
  const std::size_t targets = data.targets.size();
  inputs_.assign(data.inputs.size(), {});
  targets_.assign(targets, {});
  labels_.assign(targets, {});
  weights_.assign(data.weights.size(), nullptr);
  of_targets_.assign(targets, {});
  of_weights_.assign(data.weighed.size(), {});
  augmented_ = {};
}

Truth DeviceArrays::truth(const LossTerm& term) const {
  Truth truth{};
  const int target = term.target, i = term.weights;
  if (target >= 0) {
    truth.labels = labels_[target].data;
    truth.apart = labels_[target].apart;
    truth.targets = static_cast<const float*>(targets_[target].data);
  }
  const bool weighted = i >= 0 && i < static_cast<int>(weights_.size());
  truth.weights = weighted ? weights_[i] : nullptr;
  const bool apart = i >= 0 && i < static_cast<int>(of_weights_.size());
  const Placed none, &own = target >= 0 ? of_targets_[target] : none;
  const Placed& of = own.count > 0 ? own : apart ? of_weights_[i] : none;
  if (of.count == 0) return truth;
  if (term.loss < 0 || own.count > 0) truth.positions = of.count;
  truth.each = of.weights;
  truth.weights = of.sums;
  return truth;
}

}  // namespace steep::cuda
