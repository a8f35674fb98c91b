// Joins the axes of a sample whose strides allow it.
#include "data/source.h"

#include <functional>
#include <numeric>

namespace steep {

Source Source::of(const void* data, Format format, const std::vector<long>& shape,
                  const std::vector<long>& strides) {
  Source s;
  s.data = static_cast<const std::byte*>(data);
  s.format = format;
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
    s.strides = {bytes_of(format)};
  }
  return s;
}

long Source::width() const {
  return std::accumulate(shape.begin(), shape.end(), 1L, std::multiplies<>());
}

}  // namespace steep
