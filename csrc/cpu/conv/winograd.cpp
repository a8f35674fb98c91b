// Blocks of tiles whose transforms stay in the second-level cache: input transform, one product for
// each of the 16 positions of a tile, output transform.
#include "cpu/conv/winograd.h"

#include <algorithm>

#include "base/dual.h"

namespace steep {

namespace {

constexpr long kPositions = 16;
constexpr long kBlockBytes = 512 * 1024;   // of transformed input and products
constexpr long kFilterBytes = 512 * 1024;  // of the transformed weights
constexpr long kTransformed = 32;          // rows of a panel of W that are turned together

// Columns of the panel that begins at c, of whole lanes.
long panel_columns(long columns, long c) { return std::min(kPanel, columns - c); }

}  // namespace

template <class T> bool Winograd<T>::fits(const Window& w, long filters, long groups) {
  for (int axis = 0; axis < 2; ++axis) {
    if (w.kernel[axis] != 3 || w.stride[axis] != 1 || w.dilation[axis] != 1) return false;
    if (w.out[axis] < 4 || w.before[axis] > 2) return false;
  }
  const long bytes = kPositions * w.channels * filters * static_cast<long>(sizeof(T));
  return sizeof(T) == 4 && groups == 1 && w.channels % kLane == 0 && filters % kLane == 0 &&
         bytes <= kFilterBytes && w.out[1] <= 2 * kMostTiles && w.in[1] <= 2 * kMostTiles;
}

template <class T>
Winograd<T>::Winograd(const Kernels<T>& kernels, const long image[2], const long before[2],
                      long channels, long rows, long columns, long filters)
    : k_(kernels), image_{image[0], image[1]}, before_{before[0], before[1]}, channels_(channels),
      rows_(rows), columns_(columns), filters_(filters), tile_rows_((rows + 1) / 2),
      tile_columns_((columns + 1) / 2) {
  const long fit = kBlockBytes / (kPositions * (channels + filters) * static_cast<long>(sizeof(T)));
  tiles_ = std::clamp(fit, std::min(32L, kMostTiles), kMostTiles);
  tiles_ = std::max(tiles_ / tile_columns_, 1L) * tile_columns_;
  filter_position_ = channels * filters;
  v_position_ = spread(tiles_ * channels);
  m_position_ = spread(tiles_ * filters);
  u_position_ = spread(channels * kPanel);
  const long turned = kPositions * kTransformed * kPanel;
  scratch_ = (image_[1] + kPositions) * channels +
             std::max(turned, kPositions * (v_position_ + m_position_ + u_position_));
}

template <class T> typename Winograd<T>::Scratch Winograd<T>::split(T* scratch) const {
  Scratch s{};
  s.zeros = scratch;
  s.patch = s.zeros + image_[1] * channels_;
  s.v = s.patch + kPositions * channels_;
  s.m = s.v + kPositions * v_position_;
  s.u = s.m + kPositions * m_position_;
  return s;
}

template <class T>
void Winograd<T>::transform(const T* weight, bool turned, T* u, long lo, long hi,
                            T* scratch) const {
  const long in = turned ? filters_ : channels_, out = turned ? channels_ : filters_;
  for (long panel = lo; panel < hi; ++panel) {
    const long ld = panel_columns(out, panel * kPanel);
    const T* const w = weight + panel * kPanel * 9 * in;
    if (!turned) {
      for (long c = 0; c < in; ++c) {
        k_.winograd_filter(w + c * ld, in * ld, false, ld, u + panel * kPanel * in + c * ld,
                           filter_position_);
      }
      continue;
    }
    T* const part = split(scratch).v;
    for (long c = 0; c < in; c += kTransformed) {
      const long rows = std::min(kTransformed, in - c), ldu = panel_columns(in, c);
      for (long i = 0; i < rows; ++i) {
        k_.winograd_filter(w + (c + i) * ld, in * ld, true, ld, part + i * ld,
                           kTransformed * kPanel);
      }
      for (long p = 0; p < kPositions; ++p) {
        k_.transpose(part + p * kTransformed * kPanel, ld,
                     u + p * filter_position_ + c * out + panel * kPanel * ldu, ldu, rows, ld);
      }
    }
  }
}

template <class T>
template <class Each>
void Winograd<T>::over_blocks(const T* x, long ldx, long images, const Scratch& s,
                              Each&& each) const {
  std::fill_n(s.zeros, image_[1] * channels_, T(0));
  Tiles block;
  for (long image = 0; image < images; ++image) {
    for (long row = 0; row < tile_rows_; ++row) {
      transform_row(x + image * ldx, row, s, s.v + block.tiles * channels_);
      block.rows[block.count++] = {image, row, block.tiles};
      block.tiles += tile_columns_;
      if (block.tiles + tile_columns_ <= tiles_) continue;
      each(block);
      block.count = block.tiles = 0;
    }
  }
  if (block.count > 0) each(block);
}

// Tiles inside the image are read where they lie, those over its edges from a copy with zeros.
template <class T>
void Winograd<T>::transform_row(const T* image, long row, const Scratch& s, T* v) const {
  const T* rows[4];
  for (long i = 0; i < 4; ++i) {
    const long r = 2 * row + i - before_[0];
    rows[i] = r < 0 || r >= image_[0] ? s.zeros : image + r * image_[1] * channels_;
  }
  const long first = std::min((before_[1] + 1) / 2, tile_columns_);
  const long inside = (before_[1] + image_[1] - 2) / 2;  // tiles that end inside
  const long last = std::clamp(inside, first, tile_columns_);
  for (long t = 0; t < first; ++t) edge_tile(rows, t, s.patch, v);
  if (first < last) {
    const T* from[4];
    for (long i = 0; i < 4; ++i) from[i] = rows[i] + (2 * first - before_[1]) * channels_;
    k_.winograd_input(from, channels_, last - first, v + first * channels_, v_position_);
  }
  for (long t = last; t < tile_columns_; ++t) edge_tile(rows, t, s.patch, v);
}

template <class T>
void Winograd<T>::edge_tile(const T* const* rows, long tile, T* patch, T* v) const {
  const T* from[4];
  for (long i = 0; i < 4; ++i) {
    from[i] = patch + i * 4 * channels_;
    for (long j = 0; j < 4; ++j) {
      T* const to = patch + (4 * i + j) * channels_;
      const long c = 2 * tile + j - before_[1];
      if (c < 0 || c >= image_[1]) {
        std::fill_n(to, channels_, T(0));
      } else {
        std::copy_n(rows[i] + c * channels_, channels_, to);
      }
    }
  }
  k_.winograd_input(from, channels_, 1, v + tile * channels_, v_position_);
}

template <class T>
void Winograd<T>::multiply(const Tiles& block, const T* v, const T* u, T* m) const {
  for (long p = 0; p < kPositions; ++p) {
    for (long c = 0; c < filters_; c += kPanel) {
      const long columns = panel_columns(filters_, c);
      k_.gemm_panel({.a = v + p * v_position_,
                     .lda = channels_,
                     .b = u + p * filter_position_ + c * channels_,
                     .ldb = columns,
                     .c = m + p * m_position_ + c,
                     .ldc = filters_,
                     .rows = block.tiles,
                     .columns = columns,
                     .depth = channels_});
    }
  }
}

template <class T>
void Winograd<T>::run(const T* x, long ldx, const T* u, const T* bias, bool relu, T* y, long ldy,
                      long images, bool accumulate, T* scratch) const {
  const Scratch s = split(scratch);
  over_blocks(x, ldx, images, s, [&](const Tiles& block) {
    multiply(block, s.v, u, s.m);
    for (long i = 0; i < block.count; ++i) {
      const TileRow& at = block.rows[i];
      k_.winograd_output(s.m + at.tile * filters_, m_position_, filters_, tile_columns_, bias, relu,
                         accumulate, y + at.image * ldy + 2 * at.row * columns_ * filters_,
                         columns_ * filters_, std::min(2L, rows_ - 2 * at.row), columns_);
    }
  });
}

template <class T>
void Winograd<T>::weights(long panel, const T* x, long ldx, const T* dy, long lddy, T* dw,
                          long images, bool accumulate, T* scratch) const {
  const Scratch s = split(scratch);
  const long c = panel * kPanel, ld = panel_columns(filters_, c), channels = channels_;
  const long z_position = spread(tiles_ * ld);
  bool first = true;
  over_blocks(x, ldx, images, s, [&](const Tiles& block) {
    for (long i = 0; i < block.count; ++i) {
      const TileRow& at = block.rows[i];
      k_.winograd_gradient(dy + at.image * lddy + 2 * at.row * columns_ * filters_ + c,
                           columns_ * filters_, filters_, ld, tile_columns_,
                           std::min(2L, rows_ - 2 * at.row), columns_, s.m + at.tile * ld,
                           z_position);
    }
    for (long p = 0; p < kPositions; ++p) {
      k_.gemm_panel({.a = s.v + p * v_position_,
                     .lda = channels,
                     .a_transposed = true,
                     .b = s.m + p * z_position,
                     .ldb = ld,
                     .c = s.u + p * u_position_,
                     .ldc = ld,
                     .rows = channels,
                     .columns = ld,
                     .depth = block.tiles,
                     .accumulate = !first});
    }
    first = false;
  });
  T* const to = dw + c * 9 * channels;
  for (long i = 0; i < channels; ++i) {
    k_.winograd_filter_gradient(s.u + i * ld, u_position_, ld, to + i * ld, channels * ld,
                                accumulate);
  }
}

template class Winograd<float>;
template class Winograd<double>;
template class Winograd<portable::Dual>;

}  // namespace steep
