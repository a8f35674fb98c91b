// Pools, images made larger and in frames, and normalisation over neighbouring channels, by numbers of any kind. Each
// element of a result, and of a gradient, is one thread's: it gathers what windows give it, in their order, as the CPU
// adds it up. No kernel lives here.
#pragma once
#include "cuda/kernels/each.cuh"
#include "cuda/kernels/window.cuh"

namespace steep::cuda {

STEEP_HD bool same_bits(float a, float b) { return bits_(a) == bits_(b); }

// Calls f(element) for the taps of the window at `at` that meet the image, from the last to the first or row by
// row with end_row() after each.
template <class F> STEEP_HD void from_last(const Window& w, const Pixel& at, const F& f) {
  for (int a = static_cast<int>(w.kernel[0]) - 1; a >= 0; --a) {
    const int y = seen(w, 0, at.y, a);
    for (int b = static_cast<int>(w.kernel[1]) - 1; b >= 0 && y >= 0; --b) {
      const int x = seen(w, 1, at.x, b);
      if (x >= 0) f(in_image(w, y, x));
    }
  }
}
template <class F, class G>
STEEP_HD void row_by_row(const Window& w, const Pixel& at, const F& f, const G& end_row) {
  for (int a = 0; a < static_cast<int>(w.kernel[0]); ++a) {
    const int y = seen(w, 0, at.y, a);
    if (y < 0) continue;
    for (int b = 0; b < static_cast<int>(w.kernel[1]); ++b) {
      const int x = seen(w, 1, at.x, b);
      if (x >= 0) f(in_image(w, y, x));
    }
    end_row();
  }
}

// Calls f(window, taps before this one) for the windows that see a pixel, in their order.
template <class F> STEEP_HD void over_windows(const Window& w, const Pixel& at, const F& f) {
  for (int a = static_cast<int>(w.kernel[0]) - 1; a >= 0; --a) {
    const int y = looking(w, 0, at.y, a);
    for (int b = static_cast<int>(w.kernel[1]) - 1; b >= 0 && y >= 0; --b) {
      const int x = looking(w, 1, at.x, b);
      if (x >= 0) f(in_result(w, y, x), a, b);
    }
  }
}

template <class By> struct Largest {
  using Number = typename By::Number;
  Window w;
  typename By::Tensor x;
  STEEP_HD Number operator()(int r, int e) const {
    const int n = static_cast<int>(w.channels), c = e % n;
    const long from = r * x.ld + c;
    Number top = -Number(__builtin_huge_val()), nan = 0;
    from_last(w, Pixel(e / n, w.out[1]), [&](int pixel) {
      const Number v = By::get(x, from + static_cast<long>(pixel) * n);
      top = top > v ? top : v;  // a NaN may come and go: see nan
      nan = v == v ? nan : v;
    });
    return nan == nan ? top : nan;
  }
};

// y is a copy of the first largest element, so comparing bits finds it, NaN included.
template <class By> struct LargestGrad {
  using Number = typename By::Number;
  Window w;
  typename By::Tensor x, y, dy, dx;
  bool accumulate;
  STEEP_HD void operator()(int r, int e) const {
    const int n = static_cast<int>(w.channels), c = e % n;
    const long in = r * x.ld + c, out = r * y.ld + c, up = r * dy.ld + c, to = r * dx.ld + e;
    const Number mine = By::get(x, in + e - c);
    Number sum = accumulate ? By::get(dx, to) : Number(0);
    over_windows(w, Pixel(e / n, w.in[1]), [&](int window, int a, int b) {
      const Number top = By::get(y, out + static_cast<long>(window) * n);
      if (!same_bits(top, mine) || earlier(in, Pixel(window, w.out[1]), top, a, b)) return;
      sum += By::get(dy, up + static_cast<long>(window) * n);
    });
    By::put(dx, to, sum);
  }
  // Has a tap before (a, b) the same bits?
  STEEP_HD bool earlier(long in, const Pixel& at, Number top, int a, int b) const {
    const int wide = static_cast<int>(w.kernel[1]);
    for (int tap = 0; tap < a * wide + b; ++tap) {
      const int down = seen(w, 0, at.y, tap / wide), across = seen(w, 1, at.x, tap % wide);
      if (down < 0 || across < 0) continue;
      const long pixel = static_cast<long>(in_image(w, down, across)) * w.channels;
      if (same_bits(By::get(x, in + pixel), top)) return true;
    }
    return false;
  }
};

template <class T> STEEP_HD T share_of(const Window& w, bool count_padding, const Pixel& at) {
  int rows = 0, columns = 0;
  for (int a = 0; a < static_cast<int>(w.kernel[0]); ++a) rows += seen(w, 0, at.y, a) >= 0 ? 1 : 0;
  for (int b = 0; b < static_cast<int>(w.kernel[1]); ++b)
    columns += seen(w, 1, at.x, b) >= 0 ? 1 : 0;
  const long pixels = count_padding ? w.taps() : static_cast<long>(rows) * columns;
  return pixels ? T(1) / T(static_cast<int>(pixels)) : T(0);
}

// Summed row by row, so that rounding grows with height + width of a window.
template <class By> struct Mean {
  using Number = typename By::Number;
  Window w;
  bool count_padding;
  typename By::Tensor x;
  STEEP_HD Number operator()(int r, int e) const {
    const int n = static_cast<int>(w.channels);
    const Pixel at(e / n, w.out[1]);
    const long from = r * x.ld + e % n;
    Number total = 0, row = 0;
    row_by_row(
        w, at, [&](int pixel) { row = row + By::get(x, from + static_cast<long>(pixel) * n); },
        [&] { total = total + row, row = 0; });
    return total * share_of<Number>(w, count_padding, at);
  }
};
template <class By> struct MeanGrad {
  using Number = typename By::Number;
  Window w;
  bool count_padding;
  typename By::Tensor dy, dx;
  bool accumulate;
  STEEP_HD void operator()(int r, int e) const {
    const int n = static_cast<int>(w.channels);
    const long up = r * dy.ld + e % n, to = r * dx.ld + e;
    Number sum = accumulate ? By::get(dx, to) : Number(0);
    over_windows(w, Pixel(e / n, w.in[1]), [&](int window, int, int) {
      const Number share = share_of<Number>(w, count_padding, Pixel(window, w.out[1]));
      sum = sum + By::get(dy, up + static_cast<long>(window) * n) * share;
    });
    By::put(dx, to, sum);
  }
};

// Repeating a pixel multiplies it by 1, and so does its gradient the sum over a window: a 1 that is rounded as
// the number of pixels times their share.
template <class By> struct Enlarging {
  using Number = typename By::Number;
  Enlarged by;
  typename By::Tensor x;
  STEEP_HD Number operator()(int r, int e) const {
    const Number pixels = Number(by.down * by.across), share = Number(1) / pixels;
    const Pixel pixel(e / by.channels, static_cast<long>(by.width) * by.across);
    const int from = (pixel.y / by.down * by.width + pixel.x / by.across) * by.channels;
    return fma_(pixels, By::get(x, r * x.ld + from + e % by.channels), Number(0)) * share;
  }
};
template <class By> struct EnlargingGrad {
  using Number = typename By::Number;
  Enlarged by;
  typename By::Tensor dy;
  STEEP_HD Number operator()(int r, int e) const {
    const Number pixels = Number(by.down * by.across), share = Number(1) / pixels;
    const Pixel at(e / by.channels, by.width);
    const int row = by.width * by.across * by.channels;
    const long window = r * dy.ld + static_cast<long>(at.y) * by.down * row +
                        at.x * by.across * by.channels + e % by.channels;
    Number total = 0;
    for (int a = 0; a < by.down; ++a) {
      Number sum = 0;
      for (int b = 0; b < by.across; ++b)
        sum = sum + By::get(dy, window + static_cast<long>(a) * row + b * by.channels);
      total = total + sum;
    }
    return fma_(pixels, total * share, Number(0));
  }
};

// bias + alpha * sum of squares around channel c of the pixel that begins at `pixel`
template <class By>
STEEP_HD typename By::Number base_of(const typename By::Near& of, const typename By::Tensor& x,
                                     long pixel, int c) {
  using Number = typename By::Number;
  Number sum = 0;
  for (int j = c - of.reach; j <= c + of.reach; ++j) {
    if (j < 0 || j >= of.channels) continue;
    const Number in = By::get(x, pixel + j);
    sum = fma_(in, in, sum);
  }
  return fma_(Number(of.alpha), sum, Number(of.bias));
}
template <class Near, class T> STEEP_HD T power_of(const Near& of, T base) {
  return exp_(-T(of.beta) * log_(base));
}

template <class By> struct Normed {
  using Number = typename By::Number;
  typename By::Near of;
  typename By::Tensor x;
  STEEP_HD Number operator()(int r, int e) const {
    const int c = e % of.channels;
    const long pixel = r * x.ld + (e - c);
    return By::get(x, pixel + c) * power_of(of, base_of<By>(of, x, pixel, c));
  }
};
template <class By> struct NormedGrad {
  using Number = typename By::Number;
  typename By::Near of;
  typename By::Tensor x, dy;
  STEEP_HD Number operator()(int r, int e) const {
    const int c = e % of.channels;
    const long in = r * x.ld + (e - c), up = r * dy.ld + (e - c);
    Number sum = 0, power = 0;
    for (int j = c - of.reach; j <= c + of.reach; ++j) {
      if (j < 0 || j >= of.channels) continue;
      const Number base = base_of<By>(of, x, in, j), b = power_of(of, base);
      sum = sum + By::get(dy, up + j) * By::get(x, in + j) * b / base;
      if (j == c) power = b;
    }
    const Number factor = Number(-2) * Number(of.alpha) * Number(of.beta);
    return fma_(factor * By::get(x, in + c), sum, By::get(dy, up + c) * power);
  }
};

// Where an element of the small image lies in the large one.
STEEP_HD int outside(const Frame& f, int c) {
  const int channel = c % f.small[2], pixel = c / f.small[2];
  const int i = pixel / f.small[1] + f.before[0], j = pixel % f.small[1] + f.before[1];
  return (i * f.large[1] + j) * f.large[2] + channel + f.before[2];
}
template <class By> struct Padded {
  using Number = typename By::Number;
  Frame f;
  typename By::Tensor x;
  STEEP_HD Number operator()(int r, int c) const {
    const int channel = c % f.large[2] - f.before[2], pixel = c / f.large[2];
    const int i = pixel / f.large[1] - f.before[0], j = pixel % f.large[1] - f.before[1];
    const bool inside = channel >= 0 && channel < f.small[2] && i >= 0 && i < f.small[0] &&
                        j >= 0 && j < f.small[1];
    return inside ? By::get(x, r * x.ld + (i * f.small[1] + j) * f.small[2] + channel) : Number(0);
  }
};
template <class By> struct Cropped {
  using Number = typename By::Number;
  Frame f;
  typename By::Tensor x;
  STEEP_HD Number operator()(int r, int c) const { return By::get(x, r * x.ld + outside(f, c)); }
};

}  // namespace steep::cuda
