// Convolutions as loops around the panel kernel, image by image. What follows from shapes alone is
// worked out once, when a Conv is made. Depthwise convolutions are kernels of their own.
#pragma once
#include <optional>
#include <vector>

#include "cpu/conv/frame.h"
#include "cpu/conv/narrow.h"
#include "cpu/conv/winograd.h"
#include "plan/conv_sums.h"

namespace steep {

// Result pixels on one regular grid, all of them sums over the same taps: pixel (r, c) of the grid
// adds up `depth` elements at every offset, from the frame's element r*in_row + c*in_column on.
struct PixelGrid {
  long rows, columns;
  long in_row, in_column;
  long first, out_row, out_column;  // elements in the result
  long depth;
  std::vector<long> a_offsets;
  std::vector<long> frame_rows;    // of each tap, from the grid row's own; ascending, or empty
  std::vector<long> b_offsets[2];  // of the same taps in panels of kPanel and of kLane columns
};

template <class T> class Conv {
 public:
  Conv(const Kernels<T>& kernels, const Window& window, long filters, long groups);

  bool same(const Window& window, long groups) const;
  long scratch() const { return scratch_; }  // elements that each pass may use
  double multiply_adds() const;              // of one image in one pass

  // Weights as passes want them: transposed, for data(), always; for forward(), where it does not
  // take them as the Store keeps them. 0 elements where it does. Units are shared by threads.
  long packed_size(bool transposed) const;
  long pack_units(bool transposed) const;
  void pack(bool transposed, const T* weight, T* out, long lo, long hi, T* scratch) const;

  // y = relu?(x W + bias), or y += x W, of images that lie ld elements apart.
  void forward(const T* x, long ldx, const T* weight, const T* bias, bool relu, T* y, long ldy,
               long images, bool accumulate, T* scratch) const;
  // The same of dx, for x W the gradient through W of dy.
  void data(const T* dy, long lddy, const T* packed, const T* bias, bool relu, T* dx, long lddx,
            long images, bool accumulate, T* scratch) const;
  // dw (+)= the gradient of W, in the Store's layout; each unit is one panel of it. May read up to
  // kPanel elements beyond dy.
  long weight_units() const;
  void weights(long unit, const T* x, long ldx, const T* dy, long lddy, T* dw, long images,
               bool accumulate, T* scratch) const;
  // Gradients of W are summed over groups of so many images first, then over groups. A function of
  // shapes alone; the fewer panels there are, the more groups are needed to occupy all threads.
  long images_per_group() const { return steep::images_per_group(w_, filters_, groups_, false); }

 private:
  static constexpr long kBlockRows = 64;  // of W with groups, summed in scratch memory
  bool pixelwise() const { return steep::pixelwise(w_, groups_); }
  long rows() const { return w_.taps() * (w_.channels / groups_); }  // of W

  struct Operands;
  void correlate(const Operands& o, long images, T* scratch) const;
  void plan_forward();
  void plan_data();
  void choose_ways();
  void pack_groups(bool transposed, const T* weight, T* out, long lo, long hi) const;
  void weights_in_groups(const T* in, long lda, const T* dy, long ldb, long depth, long count,
                         T* dw, T* block) const;

  const Kernels<T>& k_;
  Window w_;
  long filters_, groups_;
  Frame x_, dy_;
  std::vector<PixelGrid> forward_, data_;
  long forward_strip_ = 1, data_strip_ = 1;  // rows of a grid at a time
  long data_reach_ = 1;                      // rows of dy that one row of a grid reads
  std::vector<long> weight_a_, weight_b_;    // offsets of the rows of a strip
  // Cheaper ways, where there are: of forward and weights, and of data.
  std::optional<Winograd<T>> winograd_x_, winograd_dy_;
  std::optional<NarrowConv<T>> narrow_x_, narrow_dy_;
  long scratch_ = 0;
};

}  // namespace steep
