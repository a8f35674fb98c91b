// The loops of a convolution. Images are put into a frame of zeros, a strip of rows at a time, so
// that no loop below knows of borders; the copy is a few percent of the arithmetic it makes simple.
#include "cpu/conv/conv.h"

#include <algorithm>

#include "base/dual.h"

namespace steep {

namespace {

constexpr long kWeightBytes = 384 * 1024;  // of W while the images pass by

// Taps [first, last) of the grid row that begins at frame row `row` that lie inside the image.
std::pair<long, long> inside(const PixelGrid& grid, long row, const Frame& frame) {
  long first = 0, last = static_cast<long>(grid.a_offsets.size());
  if (grid.frame_rows.empty() || !frame.padded()) return {first, last};
  const long top = frame.before[0] - row, bottom = top + frame.image[0];
  while (first < last && grid.frame_rows[first] < top) ++first;
  while (last > first && grid.frame_rows[last - 1] >= bottom) --last;
  return {first, last};
}

}  // namespace

template <class T> long Conv<T>::packed_size(bool transposed) const {
  const long in = w_.channels / groups_, out = filters_ / groups_;
  if (winograd_x_) return transposed ? winograd_dy_->filter_size() : winograd_x_->filter_size();
  if (const auto& narrow = transposed ? narrow_dy_ : narrow_x_) return narrow->filter_size();
  if (!transposed && groups_ == 1) return 0;
  return groups_ * w_.taps() * (transposed ? out * padded(in) : in * padded(out));
}

template <class T> long Conv<T>::weight_units() const {
  return groups_ > 1 ? 1 : ceil_div(filters_, kPanel);
}

template <class T> long Conv<T>::pack_units(bool transposed) const {
  if (packed_size(transposed) == 0) return 0;
  if (transposed ? narrow_dy_ : narrow_x_) return 1;
  return winograd_x_ ? ceil_div(filters_, kPanel) : w_.taps() * groups_;
}

template <class T>
void Conv<T>::pack(bool transposed, const T* weight, T* out, long lo, long hi, T* scratch) const {
  if (winograd_x_) {
    (transposed ? winograd_dy_ : winograd_x_)->transform(weight, transposed, out, lo, hi, scratch);
  } else if (const auto& narrow = transposed ? narrow_dy_ : narrow_x_) {
    narrow->spread(weight, transposed, out);
  } else {
    pack_groups(transposed, weight, out, lo, hi);
  }
}

// A unit is one tap of one group.
template <class T>
void Conv<T>::pack_groups(bool transposed, const T* weight, T* out, long lo, long hi) const {
  const long in = w_.channels / groups_, filters = filters_ / groups_, taps = w_.taps();
  const long columns = transposed ? in : filters, depth = transposed ? filters : in;
  const Panels stored{rows(), filters_}, wanted{taps * depth, columns};
  for (long unit = lo; unit < hi; ++unit) {
    const long tap = unit % taps, group = unit / taps;
    T* const packed = out + group * wanted.size();
    const long row0 = (transposed ? taps - 1 - tap : tap) * depth;
    for (long panel = 0; panel < wanted.count(); ++panel) {
      const long c = panel * kPanel, ld = wanted.width(panel), n = wanted.present(panel);
      T* const to = packed + wanted.at(row0, c);
      if (n < ld) std::fill_n(to, depth * ld, T(0));
      // Filters in runs that lie in one panel of W as stored.
      for (long f = group * filters; f < (group + 1) * filters;) {
        const long run = std::min((f / kPanel + 1) * kPanel, (group + 1) * filters) - f;
        const long lds = stored.width(f / kPanel);
        const T* const from = weight + stored.at(0, f);
        const long first = f - group * filters;
        if (transposed) {
          k_.transpose(from + (tap * in + c) * lds, lds, to + first * ld, ld, n, run);
        } else {
          const long begin = std::max(first, c), end = std::min(first + run, c + n);
          for (long r = 0; r < depth && begin < end; ++r) {
            std::copy_n(from + (tap * in + r) * lds + begin - first, end - begin,
                        to + r * ld + begin - c);
          }
        }
        f += run;
      }
    }
  }
}

// What correlate() works on. A group's channels lie beside each other.
template <class T> struct Conv<T>::Operands {
  const Frame& frame;
  const std::vector<PixelGrid>& grids;
  long strip, step, reach;  // rows of results; rows of the frame from one to the next, and of one
  const T* in;
  long ldin, in_group;
  const T* weight;  // (rows, out_group) in panels, group after group
  long rows;
  const T* bias;
  bool relu;
  T* out;
  long ldout, out_group;
  bool accumulate;
};

template <class T>
void Conv<T>::correlate(const Operands& o, long images, T* scratch) const {
  const long width = padded(o.out_group);
  const long block = std::max(1L, kWeightBytes / (o.rows * kPanel * long(sizeof(T)) + 1)) * kPanel;
  long grid_rows = 0;
  for (const PixelGrid& grid : o.grids) grid_rows = std::max(grid_rows, grid.rows);
  const long strip = std::min(o.strip, grid_rows);

  if (pixelwise()) {  // one product for each group: images are its rows
    for (long group = 0; group < groups_; ++group) {
      for (long c = 0; c < width; c += kPanel) {
        const long columns = std::min(kPanel, width - c), left = o.out_group - c;
        k_.gemm_panel({.a = o.in + group * o.in_group,
                       .lda = o.ldin,
                       .b = o.weight + group * o.rows * width + c * o.rows,
                       .ldb = columns,
                       .c = o.out + group * o.out_group + c,
                       .ldc = o.ldout,
                       .rows = images,
                       .columns = columns,
                       .depth = o.rows,
                       .bias = o.bias ? o.bias + group * o.out_group + c : nullptr,
                       .accumulate = o.accumulate,
                       .relu = o.relu,
                       .present = left < columns ? left : 0});
      }
    }
    return;
  }

  const auto panel = [&](const PixelGrid& g, const T* in, T* out, long group, long c, long lo,
                         long hi) {
    const long columns = std::min(kPanel, width - c), left = o.out_group - c;
    GemmPanel<T> p{.lda = g.in_column,
                   .b = o.weight + group * o.rows * width + c * o.rows,
                   .ldb = columns,
                   .ldc = g.out_column,
                   .rows = g.columns,
                   .columns = columns,
                   .depth = g.depth,
                   .count = static_cast<long>(g.a_offsets.size()),
                   .a_offsets = g.a_offsets.data(),
                   .b_offsets = g.b_offsets[columns == kLane].data(),
                   .bias = o.bias ? o.bias + group * o.out_group + c : nullptr,
                   .accumulate = o.accumulate,
                   .relu = o.relu,
                   .present = left < columns ? left : 0};
    const long* const a_offsets = p.a_offsets;
    const long* const b_offsets = p.b_offsets;
    for (long r = lo; r < hi; ++r) {
      p.a = in + (r - lo) * g.in_row + group * o.in_group;
      p.c = out + g.first + r * g.out_row + group * o.out_group + c;
      // Rows of zeros add nothing.
      const auto [first, last] = inside(g, r * o.step, o.frame);
      p.a_offsets = a_offsets + first;
      p.b_offsets = b_offsets + first;
      p.count = last - first;
      k_.gemm_panel(p);
    }
  };

  for (long c0 = 0; c0 < width; c0 += block) {
    const long c1 = std::min(width, c0 + block);
    for (long image = 0; image < images; ++image) {
      T* const out = o.out + image * o.ldout;
      for (long lo = 0; lo < grid_rows; lo += strip) {
        const long most = std::min(strip, grid_rows - lo);
        const long rows = std::min((most - 1) * o.step + o.reach, o.frame.size[0] - lo * o.step);
        const T* in = o.frame.rows(o.in + image * o.ldin, lo * o.step, rows, scratch);
        for (const PixelGrid& grid : o.grids) {
          for (long group = 0; group < groups_; ++group) {
            for (long c = c0; c < c1; c += kPanel) {
              panel(grid, in, out, group, c, lo, std::min(lo + strip, grid.rows));
            }
          }
        }
      }
    }
  }
}

template <class T>
void Conv<T>::forward(const T* x, long ldx, const T* weight, const T* bias, bool relu, T* y,
                      long ldy, long images, bool accumulate, T* scratch) const {
  if (winograd_x_) {
    return winograd_x_->run(x, ldx, weight, bias, relu, y, ldy, images, accumulate, scratch);
  }
  if (narrow_x_) {
    return narrow_x_->run(x, ldx, weight, bias, relu, y, ldy, images, accumulate, scratch);
  }
  correlate(
      {x_, forward_, forward_strip_, w_.stride[0], (w_.kernel[0] - 1) * w_.dilation[0] + 1, x, ldx,
       w_.channels / groups_, weight, rows(), bias, relu, y, ldy, filters_ / groups_, accumulate},
      images, scratch);
}

template <class T>
void Conv<T>::data(const T* dy, long lddy, const T* packed, const T* bias, bool relu, T* dx,
                   long lddx, long images, bool accumulate, T* scratch) const {
  if (winograd_dy_) {
    return winograd_dy_->run(dy, lddy, packed, bias, relu, dx, lddx, images, accumulate, scratch);
  }
  if (narrow_dy_) {
    return narrow_dy_->run(dy, lddy, packed, bias, relu, dx, lddx, images, accumulate, scratch);
  }
  const long depth = filters_ / groups_;
  correlate({dy_, data_, data_strip_, 1, data_reach_, dy, lddy, depth, packed, w_.taps() * depth,
             bias, relu, dx, lddx, w_.channels / groups_, accumulate},
            images, scratch);
}

template <class T>
void Conv<T>::weights(long unit, const T* x, long ldx, const T* dy, long lddy, T* dw, long images,
                      bool accumulate, T* scratch) const {
  if (winograd_x_) {
    return winograd_x_->weights(unit, x, ldx, dy, lddy, dw, images, accumulate, scratch);
  }
  if (narrow_x_) {
    return narrow_x_->weights(x, ldx, dy, lddy, dw, images, accumulate, scratch);
  }
  const long width = padded(filters_), c = unit * kPanel;
  const long columns = std::min(kPanel, width - c), left = filters_ - c;
  const long reach = (w_.kernel[0] - 1) * w_.dilation[0] + 1;
  // Neighbouring taps of one row of W lie beside each other in x, too.
  const bool beside = w_.dilation[1] == 1;
  const long run = beside ? w_.kernel[1] * w_.channels : w_.channels;
  const bool joined = weight_a_.size() == 1;
  T* const panel = dw + c * rows();
  const bool part = left < columns;
  if (!accumulate && groups_ > 1) std::fill_n(dw, rows() * width, T(0));
  if (pixelwise()) return weights_in_groups(x, ldx, dy, lddy, images, 1, dw, scratch);
  // Nobody writes the padding.
  if (!accumulate && groups_ == 1 && part) std::fill_n(panel, rows() * columns, T(0));
  for (long image = 0; image < images; ++image) {
    for (long lo = 0; lo < w_.out[0]; lo += forward_strip_) {
      const long n = std::min(forward_strip_, w_.out[0] - lo);
      const T* in = x_.rows(x + image * ldx, lo * w_.stride[0], (n - 1) * w_.stride[0] + reach,
                            scratch + kBlockRows * kPanel);
      const T* const dy_rows = dy + image * lddy + lo * w_.out[1] * filters_;
      if (groups_ > 1) {
        const long count = static_cast<long>(weight_a_.size());
        weights_in_groups(in, w_.stride[1] * w_.channels, dy_rows, filters_,
                          count == 1 ? n * w_.out[1] : w_.out[1], count == 1 ? 1 : n, dw, scratch);
        continue;
      }
      for (long row = 0; row < rows(); row += run) {
        const long tap = row / w_.channels;
        k_.gemm_panel({.a = in + tap / w_.kernel[1] * w_.dilation[0] * x_.pitch() +
                            tap % w_.kernel[1] * w_.dilation[1] * w_.channels,
                       .lda = w_.stride[1] * w_.channels,
                       .a_transposed = true,
                       .b = dy_rows + c,
                       .ldb = filters_,
                       .c = panel + row * columns,
                       .ldc = columns,
                       .rows = run,
                       .columns = columns,
                       .depth = joined ? n * w_.out[1] : w_.out[1],
                       .count = joined ? 1 : n,
                       .a_offsets = weight_a_.data(),
                       .b_offsets = weight_b_.data(),
                       .accumulate = accumulate || part || image > 0 || lo > 0,
                       .present = part ? left : 0});
      }
    }
  }
}

// Panels of W as stored may hold filters of two groups: sums go through a block of their own.
template <class T>
void Conv<T>::weights_in_groups(const T* in, long lda, const T* dy, long ldb, long depth,
                                long count, T* dw, T* block) const {
  const long channels = w_.channels / groups_, filters = filters_ / groups_;
  const Panels stored{rows(), filters_};
  const auto one = [&](long group, long tap, long first, long f) {
    const long high = std::min(kBlockRows, channels - first), wide = std::min(kPanel, filters - f);
    k_.gemm_panel({.a = in + tap / w_.kernel[1] * w_.dilation[0] * x_.pitch() +
                        tap % w_.kernel[1] * w_.dilation[1] * w_.channels + group * channels +
                        first,
                   .lda = lda,
                   .a_transposed = true,
                   .b = dy + group * filters + f,
                   .ldb = ldb,
                   .c = block,
                   .ldc = kPanel,
                   .rows = high,
                   .columns = kPanel,
                   .depth = depth,
                   .count = count,
                   .a_offsets = weight_a_.data(),
                   .b_offsets = weight_b_.data()});
    for (long j = 0; j < wide; ++j) {
      const long column = group * filters + f + j, ld = stored.width(column / kPanel);
      T* to = dw + stored.at(tap * channels + first, column);
      for (long r = 0; r < high; ++r) to[r * ld] += block[r * kPanel + j];
    }
  };
  for (long group = 0; group < groups_; ++group) {
    for (long tap = 0; tap < w_.taps(); ++tap) {
      for (long first = 0; first < channels; first += kBlockRows) {
        for (long f = 0; f < filters; f += kPanel) one(group, tap, first, f);
      }
    }
  }
}

// What this file defines of them.
template class Conv<float>;
template class Conv<double>;
template class Conv<portable::Dual>;

}  // namespace steep
