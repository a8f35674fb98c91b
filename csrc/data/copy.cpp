// Copies a data set out of the user's arrays, sample by sample, in C order. What lies in a device's memory is
// not the host's to copy: it stays where it is.
#include <cstring>

#include "base/prefetch.h"
#include "data/batcher.h"

namespace steep {

namespace {

void copy_axis(const Source& s, std::size_t axis, const std::byte* from, std::byte*& to) {
  const long item = bytes_of(s.format);
  const bool last = axis + 1 == s.shape.size();
  if (last && s.strides[axis] == item) {
    std::memcpy(to, from, static_cast<std::size_t>(s.shape[axis] * item));
    to += s.shape[axis] * item;
    return;
  }
  for (long i = 0; i < s.shape[axis]; ++i, from += s.strides[axis]) {
    if (!last) {
      copy_axis(s, axis + 1, from, to);
    } else {
      std::memcpy(to, from, static_cast<std::size_t>(item));
      to += item;
    }
  }
}

long bytes_of(const Source& s) {
  const bool none = s.data == nullptr || s.on_device;
  const long bytes = none ? 0 : s.samples * s.width() * bytes_of(s.format);
  return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
}

// Moves a view onto a dense copy of what it shows, at `to`.
void copy_source(Source& s, std::byte* to) {
  if (s.data == nullptr || s.on_device) return;
  const long width = s.width(), item = bytes_of(s.format);
  std::byte* at = to;
  for (long i = 0; i < s.samples; ++i) copy_axis(s, 0, s.data + i * s.sample_stride, at);
  s.data = to;
  s.sample_stride = width * item;
  s.shape = {width};
  s.strides = {item};
}

template <class V> void copy_values(const V*& values, long samples, std::byte*& to) {
  if (values == nullptr) return;
  const std::size_t bytes = static_cast<std::size_t>(samples) * sizeof(V);
  std::memcpy(to, values, bytes);
  values = reinterpret_cast<const V*>(to);
  to += bytes;
}

}  // namespace

long copied_bytes(const Dataset& data) {
  long bytes = 0;
  for (const Source& s : data.inputs) bytes += bytes_of(s);
  for (const Targets& t : data.targets) {
    bytes += bytes_of(t.values) + (t.labels == nullptr || t.on_device ? 0 : 4 * data.samples);
    bytes += bytes_of(t.positions.labels) + bytes_of(t.positions.weights);
    bytes += t.positions.any() ? 16 * data.samples : 0;
  }
  for (const Positions& p : data.weighed) {
    bytes += bytes_of(p.weights) + (p.any() ? 16 * data.samples : 0);
  }
  for (const double* w : data.weights) bytes += w == nullptr ? 0 : 8 * data.samples;
  return bytes;
}

// What is aligned to lines comes first, then what takes 8 bytes a value.
Dataset copy_into(std::shared_ptr<Block> block, const Dataset& data) {
  Dataset copy = data;
  copy.bytes = static_cast<long>(block->bytes());
  std::byte* to = block->data();
  const auto move = [&](Source& s) {
    const long bytes = bytes_of(s);
    copy_source(s, to);
    to += bytes;
  };
  for (Source& s : copy.inputs) move(s);
  for (Targets& t : copy.targets) {
    for (Source* s : {&t.values, &t.positions.labels, &t.positions.weights}) move(*s);
  }
  for (Positions& p : copy.weighed) move(p.weights);
  for (Targets& t : copy.targets) {
    copy_values(t.positions.counts, data.samples, to);
    copy_values(t.positions.sums, data.samples, to);
  }
  for (Positions& p : copy.weighed) {
    copy_values(p.counts, data.samples, to);
    copy_values(p.sums, data.samples, to);
  }
  for (const double*& w : copy.weights) copy_values(w, data.samples, to);
  for (Targets& t : copy.targets) {
    if (!t.on_device) copy_values(t.labels, data.samples, to);
  }
  copy.memory = std::move(block);
  return copy;
}

}  // namespace steep
