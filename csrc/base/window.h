// A window that slides over one image: the geometry that convolutions and pools share.
#pragma once
#include "base/hd.h"

namespace steep {

// Images are (height, width, channels), row-major and dense: neighbouring pixels lie `channels`
// elements apart. Window positions outside of the image are not there. Index 0 is for rows, 1 for
// columns.
struct Window {
  long in[2];     // height and width of the image
  long out[2];    // of the result
  long channels;  // of the image
  long kernel[2], stride[2], dilation[2];
  long before[2];  // padding above and to the left; below and to the right follow from `out`

  STEEP_HD long pixels() const { return in[0] * in[1]; }
  STEEP_HD long out_pixels() const { return out[0] * out[1]; }
  STEEP_HD long taps() const { return kernel[0] * kernel[1]; }
  bool operator==(const Window&) const = default;
};

}  // namespace steep
