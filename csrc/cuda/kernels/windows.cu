// Pools, images made larger, and normalisation over neighbouring channels. Each element of a result, and of a
// gradient, is one thread's: it gathers what windows give it, in their order, as the CPU adds it up.
#include "cuda/kernels/each.cuh"
#include "cuda/kernels/window.cuh"

namespace steep::cuda {

namespace {

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
  Window w;
  View x;
  STEEP_HD float operator()(int r, int e) const {
    const int n = static_cast<int>(w.channels), c = e % n;
    const long from = r * x.ld + c;
    float top = -__builtin_huge_valf(), nan = 0;
    from_last(w, Pixel(e / n, w.out[1]), [&](int pixel) {
      const float v = By::get(x, from + static_cast<long>(pixel) * n);
      top = top > v ? top : v;  // a NaN may come and go: see nan
      nan = v == v ? nan : v;
    });
    return nan == nan ? top : nan;
  }
};

// y is a copy of the first largest element, so comparing bits finds it, NaN included.
template <class By> struct LargestGrad {
  Window w;
  View x, y, dy, dx;
  bool accumulate;
  STEEP_HD void operator()(int r, int e) const {
    const int n = static_cast<int>(w.channels), c = e % n;
    const long in = r * x.ld + c, out = r * y.ld + c, up = r * dy.ld + c, to = r * dx.ld + e;
    const uint32_t mine = bits_(By::get(x, in + e - c));
    float sum = accumulate ? By::get(dx, to) : 0.0f;
    over_windows(w, Pixel(e / n, w.in[1]), [&](int window, int a, int b) {
      const uint32_t top = bits_(By::get(y, out + static_cast<long>(window) * n));
      if (top != mine || earlier(in, Pixel(window, w.out[1]), top, a, b)) return;
      sum += By::get(dy, up + static_cast<long>(window) * n);
    });
    By::put(dx, to, sum);
  }
  // Has a tap before (a, b) the same bits?
  STEEP_HD bool earlier(long in, const Pixel& at, uint32_t top, int a, int b) const {
    const int wide = static_cast<int>(w.kernel[1]);
    for (int tap = 0; tap < a * wide + b; ++tap) {
      const int down = seen(w, 0, at.y, tap / wide), across = seen(w, 1, at.x, tap % wide);
      if (down < 0 || across < 0) continue;
      const long pixel = static_cast<long>(in_image(w, down, across)) * w.channels;
      if (bits_(By::get(x, in + pixel)) == top) return true;
    }
    return false;
  }
};

STEEP_HD float share_of(const Window& w, bool count_padding, const Pixel& at) {
  int rows = 0, columns = 0;
  for (int a = 0; a < static_cast<int>(w.kernel[0]); ++a) rows += seen(w, 0, at.y, a) >= 0 ? 1 : 0;
  for (int b = 0; b < static_cast<int>(w.kernel[1]); ++b)
    columns += seen(w, 1, at.x, b) >= 0 ? 1 : 0;
  const long pixels = count_padding ? w.taps() : static_cast<long>(rows) * columns;
  return pixels ? 1.0f / static_cast<float>(pixels) : 0.0f;
}

// Summed row by row, so that rounding grows with height + width of a window.
template <class By> struct Mean {
  Window w;
  bool count_padding;
  View x;
  STEEP_HD float operator()(int r, int e) const {
    const int n = static_cast<int>(w.channels);
    const Pixel at(e / n, w.out[1]);
    const long from = r * x.ld + e % n;
    float total = 0, row = 0;
    row_by_row(
        w, at, [&](int pixel) { row = row + By::get(x, from + static_cast<long>(pixel) * n); },
        [&] { total = total + row, row = 0; });
    return total * share_of(w, count_padding, at);
  }
};
template <class By> struct MeanGrad {
  Window w;
  bool count_padding;
  View dy, dx;
  bool accumulate;
  STEEP_HD void operator()(int r, int e) const {
    const int n = static_cast<int>(w.channels);
    const long up = r * dy.ld + e % n, to = r * dx.ld + e;
    float sum = accumulate ? By::get(dx, to) : 0.0f;
    over_windows(w, Pixel(e / n, w.in[1]), [&](int window, int, int) {
      const float share = share_of(w, count_padding, Pixel(window, w.out[1]));
      sum = sum + By::get(dy, up + static_cast<long>(window) * n) * share;
    });
    By::put(dx, to, sum);
  }
};

// Repeating a pixel multiplies it by 1, and so does its gradient the sum over a window: a 1 that is rounded as
// the number of pixels times their share.
struct Repeated {
  Enlarged by;
  View x;
  STEEP_HD float operator()(int r, int e) const {
    const float pixels = static_cast<float>(by.down * by.across), share = 1.0f / pixels;
    const Pixel pixel(e / by.channels, static_cast<long>(by.width) * by.across);
    const int from = (pixel.y / by.down * by.width + pixel.x / by.across) * by.channels;
    return fma_(pixels, at(x, r, from + e % by.channels), 0.0f) * share;
  }
};
struct RepeatedGrad {
  Enlarged by;
  View dy;
  STEEP_HD float operator()(int r, int e) const {
    const float pixels = static_cast<float>(by.down * by.across), share = 1.0f / pixels;
    const Pixel at(e / by.channels, by.width);
    const int row = by.width * by.across * by.channels;
    const float* const window = dy.data + r * dy.ld + static_cast<long>(at.y) * by.down * row +
                                at.x * by.across * by.channels + e % by.channels;
    float total = 0;
    for (int a = 0; a < by.down; ++a) {
      float sum = 0;
      for (int b = 0; b < by.across; ++b)
        sum = sum + window[static_cast<long>(a) * row + b * by.channels];
      total = total + sum;
    }
    return fma_(pixels, total * share, 0.0f);
  }
};

// bias + alpha * sum of squares around channel c of a pixel
STEEP_HD float base_of(const Neighbours& of, const float* x, int c) {
  float sum = 0;
  for (int j = c - of.reach; j <= c + of.reach; ++j)
    if (j >= 0 && j < of.channels) sum = fma_(x[j], x[j], sum);
  return fma_(of.alpha, sum, of.bias);
}
STEEP_HD float power_of(const Neighbours& of, float base) { return exp_(-of.beta * log_(base)); }

struct Normed {
  Neighbours of;
  View x;
  STEEP_HD float operator()(int r, int e) const {
    const int c = e % of.channels;
    const float* const pixel = x.data + r * x.ld + (e - c);
    return pixel[c] * power_of(of, base_of(of, pixel, c));
  }
};
struct NormedGrad {
  Neighbours of;
  View x, dy;
  STEEP_HD float operator()(int r, int e) const {
    const int c = e % of.channels;
    const float* const in = x.data + r * x.ld + (e - c);
    const float* const up = dy.data + r * dy.ld + (e - c);
    float sum = 0, power = 0;
    for (int j = c - of.reach; j <= c + of.reach; ++j) {
      if (j < 0 || j >= of.channels) continue;
      const float base = base_of(of, in, j), b = power_of(of, base);
      sum = sum + up[j] * in[j] * b / base;
      if (j == c) power = b;
    }
    return fma_(-2.0f * of.alpha * of.beta * in[c], sum, up[c] * power);
  }
};

}  // namespace

void max_pool(const Place& at, const Window& w, const View& x, const View& y) {
  with_storage([&]<class By>(By) { write_each<By>(at, y, false, Largest<By>{w, x}); }, x, y);
}

void max_pool_grad(const Place& at, const Window& w, const View& x, const View& y, const View& dy,
                   const View& dx, bool accumulate) {
  with_storage(
      [&]<class By>(By) { each(at, dx.columns, LargestGrad<By>{w, x, y, dy, dx, accumulate}); }, x,
      y, dy, dx);
}

void avg_pool(const Place& at, const Window& w, bool count_padding, const View& x, const View& y) {
  with_storage([&]<class By>(By) { write_each<By>(at, y, false, Mean<By>{w, count_padding, x}); },
               x, y);
}

void avg_pool_grad(const Place& at, const Window& w, bool count_padding, const View& dy,
                   const View& dx, bool accumulate) {
  with_storage(
      [&]<class By>(By) {
        each(at, dx.columns, MeanGrad<By>{w, count_padding, dy, dx, accumulate});
      },
      dy, dx);
}

void upsample(const Place& at, const Enlarged& by, const View& x, const View& y) {
  write_each(at, y, false, Repeated{by, x});
}

void upsample_grad(const Place& at, const Enlarged& by, const View& dy, const View& dx,
                   bool accumulate) {
  write_each(at, dx, accumulate, RepeatedGrad{by, dy});
}

void local_norm(const Place& at, const Neighbours& of, const View& x, const View& y) {
  write_each(at, y, false, Normed{of, x});
}

void local_norm_grad(const Place& at, const Neighbours& of, const View& x, const View& dy,
                     const View& dx, bool accumulate) {
  write_each(at, dx, accumulate, NormedGrad{of, x, dy});
}

}  // namespace steep::cuda
