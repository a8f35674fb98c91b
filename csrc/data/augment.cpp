// Images of the user's array, and what a row of their surroundings is.
#include "data/augment.h"

namespace steep {

Images Images::of(const void* data, Format format, const std::vector<long>& shape,
                  const std::vector<long>& strides) {
  const bool grey = shape.size() == 3;
  return {.data = static_cast<const std::byte*>(data),
          .format = format,
          .sample_stride = strides[0],
          .row_stride = strides[1],
          .pixel_stride = strides[2],
          .channel_stride = grey ? 0 : strides[3],
          .height = shape[1],
          .width = shape[2],
          .channels = grey ? 1 : shape[3]};
}

Augment::Augment(bool flip, long shift, long cutout, const std::vector<double>& fill, Images images)
    : flip(flip), shift(shift), cutout(cutout), images(images) {
  for (long x = 0; x < images.width; ++x) {
    this->fill.insert(this->fill.end(), fill.begin(), fill.end());
  }
}

}  // namespace steep
