// Takes samples up to the device, all together.
#include "cuda/data.h"

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "cuda/device_memory.h"

namespace steep::cuda {

namespace {

constexpr std::size_t kChunk = 64UL << 20;  // bytes on their way to the device
constexpr long kAlign = 256;

long aligned(long bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

// Do samples share numbers, as windows on a text do? Then these numbers lie there once.
bool overlaps(const Source& s) {
  const long item = bytes_of(s.format);
  return s.format != Format::Float64 && s.shape.size() == 1 && s.strides[0] == item &&
         s.sample_stride >= 0 && s.sample_stride < s.width() * item && s.sample_stride % item == 0;
}

}  // namespace

// Arrays that go up together: each has a place first, then memory is there, then all are sent.
class DeviceData::Parcel {
 public:
  // send(place) copies so many bytes there, in order.
  void add(long bytes, std::function<void(std::byte*)> send) {
    all_.push_back({bytes_, std::move(send)});
    bytes_ += aligned(bytes);
  }
  long bytes() const { return bytes_; }
  void go(Memory& memory) const {
    if (static_cast<long>(memory.bytes()) < bytes_) {
      memory = Memory();
      memory = Memory(static_cast<std::size_t>(bytes_));
    }
    for (const Part& part : all_) part.send(memory.data() + part.offset);
  }

 private:
  struct Part {
    long offset;
    std::function<void(std::byte*)> send;
  };
  std::vector<Part> all_;
  long bytes_ = 0;
};

// Windows that share their numbers are one long sample.
void DeviceData::add_labels(Parcel& parcel, const Positions& of, long first, long count,
                            Labels& to) const {
  Positions all = of;
  Source& s = all.labels;
  s.data += first * s.sample_stride;
  s.samples = count;
  to.apart = of.each;
  if (overlaps(s)) {
    to.apart = s.sample_stride / s.strides[0];
    s.samples = 1;
    s.shape[0] = all.each = (count - 1) * to.apart + of.each;
  }
  const long numbers = s.samples * all.each;
  parcel.add(numbers * static_cast<long>(sizeof(int32_t)), [=, this, &to](std::byte* at) {
    std::vector<int> labels(static_cast<std::size_t>(numbers));
    for (long r = 0; r < all.labels.samples; ++r) {
      read_labels(all, r, 0, all.each, labels.data() + r * all.each);
    }
    to.data = reinterpret_cast<const int32_t*>(at);
    write(stream_, at, labels.data(), labels.size() * sizeof(int32_t));
  });
}

void DeviceData::add_positions(Parcel& parcel, const Positions& of, long first, long count,
                               Placed& to) const {
  to = {static_cast<int>(of.each), nullptr, nullptr};
  if (of.weights.data != nullptr) {
    const long bytes = count * of.each * static_cast<long>(sizeof(float));
    parcel.add(bytes, [=, this, &of, &to](std::byte* at) {
      to.weights = reinterpret_cast<const float*>(at);
      send_rows(of.weights, Format::Float32, first, count, at);
    });
  }
  const auto size = static_cast<std::size_t>(count) * sizeof(double);
  parcel.add(static_cast<long>(size), [=, this, &of, &to](std::byte* at) {
    to.sums = reinterpret_cast<const double*>(at);
    write(stream_, at, of.sums + first, size);
  });
}

void DeviceData::add_augmented(Parcel& parcel, const Augment& of) {
  const long channels = of.images.channels;
  augmented_ = {of.changes(), static_cast<int>(channels), 0, nullptr};
  parcel.add(channels * static_cast<long>(sizeof(float)), [=, this, &of](std::byte* at) {
    const std::vector<float> pixel(of.fill.begin(), of.fill.begin() + channels);
    write(stream_, at, pixel.data(), pixel.size() * sizeof(float));
    augmented_.fill = reinterpret_cast<const float*>(at);
  });
}

void DeviceData::load(const Dataset& data, long first, long count) {
  pack(data, first, count).go(memory_);
}

long DeviceData::measure(const Dataset& data) { return pack(data, 0, data.samples).bytes(); }

auto DeviceData::pack(const Dataset& data, long first, long count) -> Parcel {
  make_room(data);
  Parcel parcel;
  const auto add_array = [&]<class T>(const T* from, const T*& to) {
    const auto size = static_cast<std::size_t>(count) * sizeof(T);
    parcel.add(static_cast<long>(size), [=, this, &to](std::byte* at) {
      to = reinterpret_cast<const T*>(at);
      write(stream_, at, from + first, size);
    });
  };
  for (std::size_t i = 0; i < data.inputs.size(); ++i) {
    const Source& s = data.inputs[i];
    s.on_device   ? add_theirs(parcel, s, false, first, count, inputs_[i])
    : overlaps(s) ? add_windows(parcel, s, first, count, inputs_[i])
                  : add_rows(parcel, s, kept(s.format), first, count, inputs_[i]);
  }
  for (std::size_t i = 0; i < data.targets.size(); ++i) {
    const Targets& t = data.targets[i];
    if (t.positions.labels.data != nullptr) {
      add_labels(parcel, t.positions, first, count, labels_[i]);
    } else if (t.labels != nullptr && t.on_device) {
      labels_[i].data = t.labels + first;
    } else if (t.labels != nullptr) {
      add_array(t.labels, labels_[i].data);
    } else if (t.values.on_device) {
      add_theirs(parcel, t.values, true, first, count, targets_[i]);
    } else {
      add_rows(parcel, t.values, Format::Float32, first, count, targets_[i]);
    }
    if (t.positions.any()) add_positions(parcel, t.positions, first, count, of_targets_[i]);
  }
  for (std::size_t i = 0; i < data.weights.size(); ++i) {
    if (data.weights[i]) add_array(data.weights[i], weights_[i]);
  }
  for (std::size_t i = 0; i < data.weighed.size(); ++i) {
    if (data.weighed[i].any()) add_positions(parcel, data.weighed[i], first, count, of_weights_[i]);
  }
  if (data.augment) add_augmented(parcel, *data.augment);
  return parcel;
}

void DeviceData::add_rows(Parcel& parcel, const Source& s, Format format, long first, long count,
                          Samples& to) const {
  const long width = s.width();
  parcel.add(count * width * bytes_of(format), [=, this, &s, &to](std::byte* at) {
    to = {at, format, static_cast<int>(width), width};
    send_rows(s, format, first, count, at);
  });
}

void DeviceData::add_theirs(Parcel& parcel, const Source& s, bool target, long first, long count,
                            Samples& to) const {
  const long width = s.width(), item = bytes_of(s.format);
  const bool rows = s.shape.size() == 1 && s.strides[0] == item && s.sample_stride >= 0 &&
                    s.sample_stride % item == 0;
  const bool dense = s.format == Format::Float32 && s.sample_stride == width * item;
  if (rows && (target ? dense : s.format != Format::Float64)) {
    to = {s.data + first * s.sample_stride, s.format, static_cast<int>(width),
          s.sample_stride / item};
    return;
  }
  const Format format = target ? Format::Float32 : kept(s.format);
  parcel.add(count * width * bytes_of(format), [=, this, &s, &to](std::byte* at) {
    to = {at, format, static_cast<int>(width), width};
    convert(stream_.get(), strided(cuda::rows_of(s, first, count)), number_of(format), at);
  });
}

void DeviceData::add_windows(Parcel& parcel, const Source& s, long first, long count,
                             Samples& to) const {
  const long width = s.width(), item = bytes_of(s.format);
  const long bytes = (count - 1) * s.sample_stride + width * item;
  parcel.add(bytes, [=, this, &s, &to](std::byte* at) {
    to = {at, s.format, static_cast<int>(width), s.sample_stride / item};
    write(stream_, at, s.data + first * s.sample_stride, static_cast<std::size_t>(bytes));
  });
}

void DeviceData::send_rows(const Source& s, Format format, long first, long count,
                           std::byte* to) const {
  const long row = s.width() * bytes_of(format),
             most = std::max(1L, static_cast<long>(kChunk) / row);
  std::vector<std::byte> staged;
  for (long r = 0; r < count; r += most) {
    const long rows = std::min(most, count - r);
    staged.resize(static_cast<std::size_t>(rows * row));
    copy_rows(s, format, first + r, rows, staged.data());
    write(stream_, to + r * row, staged.data(), staged.size());
  }
}

}  // namespace steep::cuda
