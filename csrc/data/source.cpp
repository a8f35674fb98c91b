// Walks the axes of a sample; the innermost run is a kernel.
#include "data/source.h"

#include <functional>
#include <numeric>

namespace steep {

Source Source::of(const void* data, DType dtype, const std::vector<long>& shape,
                  const std::vector<long>& strides) {
  Source s;
  s.data = static_cast<const std::byte*>(data);
  s.dtype = dtype;
  s.samples = shape[0];
  s.sample_stride = strides[0];
  for (std::size_t i = 1; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    if (!s.shape.empty() && s.strides.back() == strides[i] * shape[i]) {
      s.shape.back() *= shape[i];
      s.strides.back() = strides[i];
    } else {
      s.shape.push_back(shape[i]);
      s.strides.push_back(strides[i]);
    }
  }
  if (s.shape.empty()) {
    s.shape = {1};
    s.strides = {dtype == DType::Float64 ? 8 : dtype == DType::Float32 ? 4 : 1};
  }
  return s;
}

long Source::width() const {
  return std::accumulate(shape.begin(), shape.end(), 1L, std::multiplies<>());
}

namespace {

template <class T>
void read_axis(const Kernels<T>& k, const Source& s, std::size_t axis, const std::byte* from,
               T*& dst, T scale, T shift) {
  if (axis + 1 < s.shape.size()) {
    for (long i = 0; i < s.shape[axis]; ++i) {
      read_axis(k, s, axis + 1, from + i * s.strides[axis], dst, scale, shift);
    }
    return;
  }
  const auto read = s.dtype == DType::Float32   ? k.read_f32
                    : s.dtype == DType::Float64 ? k.read_f64
                                                : k.read_u8;
  read(from, s.strides[axis], dst, s.shape[axis], scale, shift);
  dst += s.shape[axis];
}

}  // namespace

template <class T>
void read_sample(const Kernels<T>& k, const Source& s, long sample, T* dst, T scale, T shift) {
  read_axis(k, s, 0, s.data + sample * s.sample_stride, dst, scale, shift);
}

template void read_sample(const Kernels<float>&, const Source&, long, float*, float, float);
template void read_sample(const Kernels<double>&, const Source&, long, double*, double, double);

}  // namespace steep
