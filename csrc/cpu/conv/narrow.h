// Convolutions with few filters, where one pixel of the result would leave most of a vector empty:
// several neighbouring pixels share it. Their taps lie beside each other, too, so that one row of
// taps, a little longer and with zeros, serves them all.
#pragma once
#include <vector>

#include "cpu/conv/frame.h"
#include "cpu/kernels.h"

namespace steep {

template <class T> class NarrowConv {
 public:
  // window.channels channels to `filters`; no groups, no dilation.
  NarrowConv(const Kernels<T>& kernels, const Window& window, long filters);

  long scratch() const { return strip_elements_ + weight_elements_; }
  // Elements of the spread weights, and their making from W as stored, (taps*in, out) in panels.
  // Where turned, for the gradient of the input, channels are W's outputs, taps are reversed.
  long filter_size() const { return tap_rows(share_) * padded(share_ * filters_); }
  void spread(const T* weight, bool turned, T* u) const;

  void run(const T* x, long ldx, const T* u, const T* bias, bool relu, T* y, long ldy, long images,
           bool accumulate, T* scratch) const;
  // dw (+)= the gradient of W, as stored. Reads up to kPanel elements beyond dy.
  void weights(const T* x, long ldx, const T* dy, long lddy, T* dw, long images, bool accumulate,
               T* scratch) const;

 private:
  // Taps of a row that `share` pixels use together; rows of the spread weights.
  long row_taps(long share) const { return w_.kernel[1] + (share - 1) * w_.stride[1]; }
  long tap_rows(long share) const { return w_.kernel[0] * row_taps(share) * w_.channels; }
  void fold(const T* wide, T* dw, bool accumulate) const;

  const Kernels<T>& k_;
  Window w_;
  long filters_;
  long share_, weight_share_;  // pixels
  Frame frame_;
  long strip_;                       // rows of results whose rows of the frame are made at once
  std::vector<long> tap_a_, tap_b_;  // of each row of taps
  std::vector<long> row_a_, row_b_;  // of each row of a strip
  long strip_elements_, weight_elements_;
};

}  // namespace steep
