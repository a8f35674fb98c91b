// Copies a data set out of the user's arrays, sample by sample, in C order.
#include <cstring>
#include <numeric>

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
  const long bytes = s.data == nullptr ? 0 : s.samples * s.width() * bytes_of(s.format);
  return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
}

// Moves a view onto a dense copy of what it shows, at `to`.
void copy_source(Source& s, std::byte* to) {
  if (s.data == nullptr) return;
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
  const long values = data.samples * ((data.labels ? 4 : 0) + (data.weights ? 8 : 0));
  return std::accumulate(data.inputs.begin(), data.inputs.end(), values + bytes_of(data.targets),
                         [](long sum, const Source& s) { return sum + bytes_of(s); });
}

Dataset copy_into(std::shared_ptr<Block> block, const Dataset& data) {
  Dataset copy = data;
  copy.bytes = static_cast<long>(block->bytes());
  std::byte* to = block->data();
  for (Source& s : copy.inputs) {
    const long bytes = bytes_of(s);
    copy_source(s, to);
    to += bytes;
  }
  const long bytes = bytes_of(copy.targets);
  copy_source(copy.targets, to);
  to += bytes;
  copy_values(copy.weights, data.samples, to);
  copy_values(copy.labels, data.samples, to);
  copy.memory = std::move(block);
  return copy;
}

}  // namespace steep
