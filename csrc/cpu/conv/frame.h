// An image with zeros around it, as convolutions read it: rows of the image itself where there are
// no zeros to read, else copies of a few rows at a time.
#pragma once
#include <algorithm>

namespace steep {

// `size` virtual pixels, of which the image begins at `before`.
struct Frame {
  long image[2];  // height and width
  long channels;
  long before[2];  // zeros above and to the left
  long size[2];    // with zeros, as far as anything is read

  bool padded() const {
    return before[0] > 0 || before[1] > 0 || size[0] > image[0] || size[1] > image[1];
  }
  long pitch() const { return (padded() ? size[1] : image[1]) * channels; }  // elements of a row

  // Rows [first, first + rows): of the image, or made in `scratch`.
  template <class T> const T* rows(const T* data, long first, long rows, T* scratch) const {
    if (!padded()) return data + first * pitch();
    // Windows far apart may see nothing but the zeros, and not all of them.
    const long left = std::min(before[1], size[1]) * channels;
    const long inside = std::clamp(size[1] - before[1], 0L, image[1]) * channels;
    for (long r = 0; r < rows; ++r) {
      T* to = scratch + r * pitch();
      const long from = first + r - before[0];
      if (from < 0 || from >= image[0]) {
        std::fill_n(to, pitch(), T(0));
        continue;
      }
      std::fill_n(to, left, T(0));
      std::copy_n(data + from * image[1] * channels, inside, to + left);
      std::fill_n(to + left + inside, pitch() - left - inside, T(0));
    }
    return scratch;
  }
};

}  // namespace steep
