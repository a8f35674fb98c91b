// Copies samples out of the user's arrays, whatever their strides, and up to the device.
#include "cuda/data.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "base/error.h"

namespace steep::cuda {

namespace {

constexpr std::size_t kChunk = 64UL << 20;  // bytes on their way to the device
constexpr long kAlign = 256;

long aligned(long bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

template <class T> float value_at(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return static_cast<float>(value);
}

float value_of(Format format, const std::byte* p) {
  return format == Format::Float64   ? value_at<double>(p)
         : format == Format::Float32 ? value_at<float>(p)
                                     : value_at<uint8_t>(p);
}

long item_of(bool bytes) { return bytes ? 1 : static_cast<long>(sizeof(float)); }

// `to` moves on behind what was written.
void copy_axis(const Source& s, bool bytes, std::size_t axis, const std::byte* from,
               std::byte*& to) {
  const long n = s.shape[axis], stride = s.strides[axis], item = item_of(bytes);
  if (axis + 1 < s.shape.size()) {
    for (long i = 0; i < n; ++i) copy_axis(s, bytes, axis + 1, from + i * stride, to);
    return;
  }
  const bool as_it_is = s.format == (bytes ? Format::UInt8 : Format::Float32);
  if (stride == item && as_it_is) {
    std::memcpy(to, from, static_cast<std::size_t>(n * item));
  } else {
    for (long i = 0; i < n; ++i) {
      const float value = value_of(s.format, from + i * stride);
      if (bytes) {
        to[i] = from[i * stride];
      } else {
        std::memcpy(to + i * item, &value, sizeof(value));
      }
    }
  }
  to += n * item;
}

bool is_bytes(const Source& s) { return s.format == Format::UInt8; }

// Before anything is copied: what no kernel reads is refused.
void check(const Dataset& data) {
  const auto lacks = [](const char* what) {
    refuse("device=\"cuda\": no kernel for ", what, " yet; use device=\"cpu\"");
  };
  if (data.augment) lacks("augmentation");
  for (const Targets& t : data.targets) {
    if (t.positions.any()) lacks("losses of positions");
  }
  for (const Positions& each : data.weighed) {
    if (each.any()) lacks("weights of positions");
  }
}

}  // namespace

void copy_rows(const Source& from, bool bytes, long first, long rows, std::byte* to) {
  for (long r = first; r < first + rows; ++r) {
    copy_axis(from, bytes, 0, from.data + r * from.sample_stride, to);
  }
}

Truth DeviceData::truth(const LossTerm& term) const {
  Truth truth{};
  if (term.target >= 0) {
    truth.labels = labels_[term.target];
    truth.targets = static_cast<const float*>(targets_[term.target].data);
  }
  const bool weighted = term.weights >= 0 && term.weights < static_cast<int>(weights_.size());
  truth.weights = weighted ? weights_[term.weights] : nullptr;
  return truth;
}

// Every array has a place first, then memory is there, then they go up.
void DeviceData::load(const Dataset& data, long first, long count) {
  check(data);
  std::vector<std::function<void(std::byte*)>> sent;
  std::vector<long> offsets;
  long bytes = 0;
  const auto add = [&](long size, auto send) {
    offsets.push_back(bytes);
    bytes += aligned(size);
    sent.push_back(std::move(send));
  };
  const auto add_rows = [&](const Source& s, bool narrow) {
    add(count * s.width() * item_of(narrow), [this, &s, narrow, first, count](std::byte* to) {
      send_rows(s, narrow, first, count, to);
    });
  };
  const auto add_array = [&]<class T>(const T* from) {
    const auto size = static_cast<std::size_t>(count) * sizeof(T);
    add(static_cast<long>(size),
        [=, this](std::byte* to) { write(stream_, to, from + first, size); });
  };
  for (const Source& s : data.inputs) add_rows(s, is_bytes(s));
  for (const Targets& t : data.targets) {
    t.labels ? add_array(t.labels) : add_rows(t.values, false);
  }
  for (const double* weights : data.weights) {
    if (weights) add_array(weights);
  }
  if (static_cast<long>(memory_.bytes()) < bytes) {
    memory_ = Memory();
    memory_ = Memory(static_cast<std::size_t>(bytes));
  }
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i](memory_.data() + offsets[i]);
  note_places(data, offsets);
}

void DeviceData::note_places(const Dataset& data, const std::vector<long>& offsets) {
  inputs_.clear(), targets_.clear(), labels_.clear(), weights_.clear();
  std::size_t i = 0;
  for (const Source& s : data.inputs) {
    inputs_.push_back({memory_.data() + offsets[i++], is_bytes(s), static_cast<int>(s.width())});
  }
  for (const Targets& t : data.targets) {
    const long at = offsets[i++];
    labels_.push_back(t.labels ? memory_.as<int32_t>(at) : nullptr);
    targets_.push_back(
        t.labels ? Samples{}
                 : Samples{memory_.as<float>(at), false, static_cast<int>(t.values.width())});
  }
  for (const double* weights : data.weights) {
    weights_.push_back(weights ? memory_.as<double>(offsets[i++]) : nullptr);
  }
}

void DeviceData::send_rows(const Source& s, bool bytes, long first, long count, std::byte* to) {
  const long row = s.width() * item_of(bytes), most = std::max(1L, static_cast<long>(kChunk) / row);
  std::vector<std::byte> staged;
  for (long r = 0; r < count; r += most) {
    const long rows = std::min(most, count - r);
    staged.resize(static_cast<std::size_t>(rows * row));
    copy_rows(s, bytes, first + r, rows, staged.data());
    write(stream_, to + r * row, staged.data(), staged.size());
  }
}

}  // namespace steep::cuda
