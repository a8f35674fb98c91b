// One product for each row of results, and one for each row of taps of the gradient of W.
#include "cpu/conv/narrow.h"

#include "base/dual.h"
#include "plan/conv_sums.h"

namespace steep {

namespace {

constexpr long kStripBytes = 64 * 1024;  // of frame rows made at once

// Positions [first, last) of n, `step` apart and `at` from the first, that lie inside `size`.
struct Range { long first, last; };
Range inside(long n, long at, long step, long size) {
  const long first = at >= 0 ? 0 : (-at + step - 1) / step;
  const long last = at >= size ? 0 : std::min(n, (size - at - 1) / step + 1);
  return {std::min(first, n), std::max(last, std::min(first, n))};
}

}  // namespace

template <class T>
NarrowConv<T>::NarrowConv(const Kernels<T>& kernels, const Window& window, long filters)
    : k_(kernels), w_(window), filters_(filters), share_(best_share(w_, filters)),
      weight_share_(best_weight_share(w_, filters)) {
  const long groups = (w_.out[1] + share_ - 1) / share_;
  frame_ = {{w_.in[0], w_.in[1]},
            w_.channels,
            {w_.before[0], w_.before[1]},
            {(w_.out[0] - 1) * w_.stride[0] + w_.kernel[0],
             (groups - 1) * share_ * w_.stride[1] + row_taps(share_)}};
  const long fit = kStripBytes / (frame_.pitch() * static_cast<long>(sizeof(T)));
  strip_ = std::clamp((fit - w_.kernel[0]) / w_.stride[0] + 1, std::min(4L, w_.out[0]), w_.out[0]);
  strip_elements_ = padded(((strip_ - 1) * w_.stride[0] + w_.kernel[0]) * frame_.pitch());
  weight_elements_ = tap_rows(weight_share_) * padded(weight_share_ * filters_);
  for (long ky = 0; ky < w_.kernel[0]; ++ky) {
    tap_a_.push_back(ky * frame_.pitch());
    tap_b_.push_back(ky * row_taps(share_) * w_.channels * padded(share_ * filters_));
  }
  for (long r = 0; r < strip_; ++r) {
    row_a_.push_back(r * w_.stride[0] * frame_.pitch());
    row_b_.push_back(r * w_.out[1] * filters_);
  }
}

template <class T> void NarrowConv<T>::spread(const T* weight, bool turned, T* u) const {
  const long in = turned ? filters_ : w_.channels, out = turned ? w_.channels : filters_;
  const long width = padded(share_ * filters_), channels = w_.channels;
  const Panels stored{w_.taps() * in, out};
  std::fill_n(u, filter_size(), T(0));
  for (long ky = 0; ky < w_.kernel[0]; ++ky) {
    for (long kx = 0; kx < w_.kernel[1]; ++kx) {
      const long tap = turned ? w_.taps() - 1 - (ky * w_.kernel[1] + kx) : ky * w_.kernel[1] + kx;
      for (long i = 0; i < in; ++i) {
        for (long o = 0; o < out; ++o) {
          const T value = weight[stored.at(tap * in + i, o)];
          const long channel = turned ? o : i, filter = turned ? i : o;
          for (long p = 0; p < share_; ++p) {
            const long row = (ky * row_taps(share_) + kx + p * w_.stride[1]) * channels + channel;
            u[row * width + p * filters_ + filter] = value;
          }
        }
      }
    }
  }
}

template <class T>
void NarrowConv<T>::run(const T* x, long ldx, const T* u, const T* bias, bool relu, T* y, long ldy,
                        long images, bool accumulate, T* scratch) const {
  const long width = padded(share_ * filters_);
  T wide_bias[kPanel] = {};
  for (long i = 0; bias && i < share_ * filters_; ++i) wide_bias[i] = bias[i % filters_];
  const long whole = w_.out[1] / share_, rest = w_.out[1] % share_;
  GemmPanel<T> p{.lda = share_ * w_.stride[1] * w_.channels,
                 .b = u,
                 .ldb = width,
                 .ldc = share_ * filters_,
                 .rows = 0,
                 .columns = width,
                 .depth = row_taps(share_) * w_.channels,
                 .bias = bias ? wide_bias : nullptr,
                 .accumulate = accumulate,
                 .relu = relu};
  const auto part = [&](const T* a, T* c, long rows, long present) {
    if (rows == 0) return;
    p.a = a;
    p.c = c;
    p.rows = rows;
    p.present = present == width ? 0 : present;
    k_.gemm_panel(p);
  };
  for (long image = 0; image < images; ++image) {
    for (long lo = 0; lo < w_.out[0]; lo += strip_) {
      const long n = std::min(strip_, w_.out[0] - lo);
      const T* in = frame_.rows(x + image * ldx, lo * w_.stride[0],
                                (n - 1) * w_.stride[0] + w_.kernel[0], scratch);
      for (long r = 0; r < n; ++r) {
        // Rows of zeros add nothing.
        const Range taps =
            inside(w_.kernel[0], (lo + r) * w_.stride[0] - w_.before[0], 1, w_.in[0]);
        p.a_offsets = tap_a_.data() + taps.first;
        p.b_offsets = tap_b_.data() + taps.first;
        p.count = taps.last - taps.first;
        const T* const a = in + row_a_[r];
        T* const c = y + image * ldy + (lo + r) * w_.out[1] * filters_;
        part(a, c, whole, share_ * filters_);
        part(a + whole * p.lda, c + whole * p.ldc, rest > 0 ? 1 : 0, rest * filters_);
      }
    }
  }
}

template <class T>
void NarrowConv<T>::weights(const T* x, long ldx, const T* dy, long lddy, T* dw, long images,
                            bool accumulate, T* scratch) const {
  const long share = weight_share_, width = padded(share * filters_);
  const long run = row_taps(share) * w_.channels;
  T* const wide = scratch + strip_elements_;
  std::fill_n(wide, weight_elements_, T(0));
  for (long image = 0; image < images; ++image) {
    for (long lo = 0; lo < w_.out[0]; lo += strip_) {
      const long n = std::min(strip_, w_.out[0] - lo);
      const T* in = frame_.rows(x + image * ldx, lo * w_.stride[0],
                                (n - 1) * w_.stride[0] + w_.kernel[0], scratch);
      for (long ky = 0; ky < w_.kernel[0]; ++ky) {
        const Range rows = inside(n, lo * w_.stride[0] + ky - w_.before[0], w_.stride[0], w_.in[0]);
        if (rows.first == rows.last) continue;
        k_.gemm_panel({.a = in + ky * frame_.pitch(),
                       .lda = share * w_.stride[1] * w_.channels,
                       .a_transposed = true,
                       .b = dy + image * lddy + lo * w_.out[1] * filters_,
                       .ldb = share * filters_,
                       .c = wide + ky * run * width,
                       .ldc = width,
                       .rows = run,
                       .columns = width,
                       .depth = w_.out[1] / share,
                       .count = rows.last - rows.first,
                       .a_offsets = row_a_.data() + rows.first,
                       .b_offsets = row_b_.data() + rows.first,
                       .accumulate = true});
      }
    }
  }
  fold(wide, dw, accumulate);
}

// Adds up what the pixels of a vector found for the same tap.
template <class T> void NarrowConv<T>::fold(const T* wide, T* dw, bool accumulate) const {
  const long share = weight_share_, width = padded(share * filters_), ld = padded(filters_);
  const long channels = w_.channels;
  for (long tap = 0; tap < w_.taps(); ++tap) {
    const long ky = tap / w_.kernel[1], kx = tap % w_.kernel[1];
    for (long c = 0; c < channels; ++c) {
      T* const to = dw + (tap * channels + c) * ld;
      if (!accumulate) std::fill_n(to, ld, T(0));
      for (long p = 0; p < share; ++p) {
        const long row = (ky * row_taps(share) + kx + p * w_.stride[1]) * channels + c;
        for (long f = 0; f < filters_; ++f) to[f] += wide[row * width + p * filters_ + f];
      }
    }
  }
}

template class NarrowConv<float>;
template class NarrowConv<double>;
template class NarrowConv<portable::Dual>;

}  // namespace steep
