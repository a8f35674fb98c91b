// Random changes of images while training reads them: flip, shift, cutout, and what stands where no image
// is. What is drawn is in change.h; which samples are read is the batcher's, reading them a device's.
#pragma once
#include <optional>
#include <vector>

#include "data/change.h"
#include "data/source.h"

namespace steep {

// Images of the user's array, (height, width, channels) each; a view like Source.
struct Images {
  const std::byte* data = nullptr;
  Format format = Format::Float32;
  long sample_stride = 0;  // bytes, as the next three
  long row_stride = 0, pixel_stride = 0, channel_stride = 0;
  long height = 0, width = 0, channels = 0;

  // Samples of shape (H, W) or (H, W, C).
  static Images of(const void* data, Format format, const std::vector<long>& shape,
                   const std::vector<long>& strides);
};

struct Augment {
  bool flip;    // left and right changed over, for half of the samples
  long shift;   // most pixels an image moves, up, down, left and right
  long cutout;  // side of the square that is painted over; 0 for none
  Images images;
  std::vector<double> fill;  // (width, channels) a row of what stands outside and in the square

  // fill: one pixel, in the units of the array.
  Augment(bool flip, long shift, long cutout, const std::vector<double>& fill, Images images);
  Changes changes() const { return {flip, shift, cutout, images.height, images.width}; }
};

}  // namespace steep
