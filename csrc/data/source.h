// Samples in the user's own array, any strides: where they lie. Reading them is a device's.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/format.h"
#include "base/prefetch.h"

namespace steep {

// A view: whoever makes one keeps the array alive.
struct Source {
  const std::byte* data = nullptr;
  Format format = Format::Float32;
  long samples = 0;
  long sample_stride = 0;  // bytes
  // One sample, outer to inner, neighbouring axes joined where their strides allow.
  std::vector<long> shape, strides;  // elements; bytes
  bool on_device = false;            // in the memory of the device that reads it

  static Source of(const void* data, Format format, const std::vector<long>& shape,
                   const std::vector<long>& strides);
  long width() const;
};

// Asks for the first lines of a sample that will be read soon; the processor follows from there.
inline void prefetch_sample(const Source& s, long sample) {
  const std::byte* at = s.data + sample * s.sample_stride;
  for (long line = 0; line < 4; ++line) __builtin_prefetch(at + line * kCacheLine);
}

}  // namespace steep
