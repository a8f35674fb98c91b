// Convolutions of batches in plain arrays, as a user of NumPy holds them. Networks use Conv itself.
#pragma once
#include <memory>

#include "base/memory.h"
#include "cpu/conv/conv.h"

namespace steep {

// x (batch, height, width, channels), w (kernel height, kernel width, channels/groups, filters),
// y and dy (batch, out height, out width, filters); float32, C order. Results do not depend on the
// number of threads. One call at a time.
class Convolution {
 public:
  Convolution(const Window& window, long filters, long groups, long batch);

  const Window& window() const { return w_; }
  long filters() const { return filters_; }
  long groups() const { return groups_; }
  long batch() const { return batch_; }

  void forward(const float* x, const float* w, float* y);
  void backward_data(const float* dy, const float* w, float* dx);
  void backward_weights(const float* x, const float* dy, float* dw);

 private:
  bool depthwise() const { return conv_ == nullptr; }
  Panels weight_panels() const { return {w_.taps() * (w_.channels / groups_), filters_}; }
  void store(const float* w);  // from logical order into panels
  template <class Images> void over_images(Images&& images);
  float* scratch(int thread) { return at(scratch_) + thread * scratch_elements_; }
  static float* at(const Block& block) { return reinterpret_cast<float*>(block.data()); }

  const Kernels<float>& k_;
  Window w_;
  long filters_, groups_, batch_;
  std::unique_ptr<Conv<float>> conv_;
  long scratch_elements_ = 0, group_images_ = kImagesPerPanel, weight_groups_ = 1;
  Block stored_, packed_, partial_, scratch_, last_;
  int threads_ = 0;
};

}  // namespace steep
