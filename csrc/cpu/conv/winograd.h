// 3x3 convolutions of stride 1 by minimal filtering F(2x2, 3x3): 2.25 times fewer products than
// the definition, at about the same rounding error (Winograd 1980; Lavin and Gray 2016).
#pragma once
#include "cpu/kernels.h"

namespace steep {

// One correlation with 3x3 filters: of images with zeros around them to (rows, columns, filters).
template <class T> class Winograd {
 public:
  // Whether the transforms cost less than they save. Channels and filters must fill whole lanes,
  // and the transformed weights must stay in a cache.
  static bool fits(const Window& window, long filters, long groups);

  // before: zeros above and to the left of the image (height, width, channels).
  Winograd(const Kernels<T>& kernels, const long image[2], const long before[2], long channels,
           long rows, long columns, long filters);

  long scratch() const { return scratch_; }
  // Elements of the transformed weights: 16 matrices (channels, filters) in panels.
  long filter_size() const { return 16 * filter_position_; }
  // Their part that panels [lo, hi) of W make; W as stored, (9 * in, out) in panels. Where turned,
  // for the gradient of the input, channels are W's outputs and taps are reversed.
  void transform(const T* weight, bool turned, T* u, long lo, long hi, T* scratch) const;

  void run(const T* x, long ldx, const T* u, const T* bias, bool relu, T* y, long ldy, long images,
           bool accumulate, T* scratch) const;
  // dw (+)= the gradient of one panel of W, as stored.
  void weights(long panel, const T* x, long ldx, const T* dy, long lddy, T* dw, long images,
               bool accumulate, T* scratch) const;

 private:
  static constexpr long kMostTiles = 128;     // of a block
  struct TileRow { long image, row, tile; };  // tile: number of its first one in the block
  struct Tiles {
    long tiles = 0, count = 0;
    TileRow rows[kMostTiles];
  };
  struct Scratch { T *zeros, *patch, *v, *m, *u; };

  Scratch split(T* scratch) const;
  // Transforms images block by block into v and calls each(tiles).
  template <class Each>
  void over_blocks(const T* x, long ldx, long images, const Scratch& s, Each&& each) const;
  void transform_row(const T* image, long row, const Scratch& s, T* v) const;
  void edge_tile(const T* const* rows, long tile, T* patch, T* v) const;
  void multiply(const Tiles& block, const T* v, const T* u, T* m) const;

  const Kernels<T>& k_;
  long image_[2], before_[2];  // height and width; zeros above and to the left
  long channels_, rows_, columns_, filters_;
  long tile_rows_, tile_columns_;
  long tiles_;  // of a block
  long filter_position_, v_position_, m_position_, u_position_;
  long scratch_;
};

}  // namespace steep
