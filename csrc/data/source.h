// Reads samples out of the user's own array, any strides, without a copy of it.
#pragma once
#include <vector>

#include "base/prefetch.h"
#include "cpu/kernels.h"

namespace steep {

enum class DType { Float32, Float64, UInt8 };

// A view: whoever makes one keeps the array alive.
struct Source {
  const std::byte* data = nullptr;
  DType dtype = DType::Float32;
  long samples = 0;
  long sample_stride = 0;  // bytes
  // One sample, outer to inner, neighbouring axes joined where their strides allow.
  std::vector<long> shape, strides;  // elements; bytes

  static Source of(const void* data, DType dtype, const std::vector<long>& shape,
                   const std::vector<long>& strides);
  long width() const;
};

// dst = scale*sample + shift, in C order.
template <class T>
void read_sample(const Kernels<T>& k, const Source& s, long sample, T* dst, T scale, T shift);

// Asks for the first lines of a sample that will be read soon; the processor follows from there.
inline void prefetch_sample(const Source& s, long sample) {
  const std::byte* at = s.data + sample * s.sample_stride;
  for (long line = 0; line < 4; ++line) __builtin_prefetch(at + line * kCacheLine);
}

}  // namespace steep
