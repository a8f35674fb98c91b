// Convolutions in three passes, transposed and grouped ones among them: products whose operands find pixels where
// they lie, in conv.cuh. Those of every channel alone gather.
#include "activations/list.h"
#include "cuda/kernels/conv.cuh"
#include "cuda/kernels/each.cuh"
#include "cuda/kernels/product.cuh"
#include "cuda/kernels/window.cuh"

namespace steep::cuda {

namespace {

constexpr int kRelu = index_of<activations::ReLU>(activations::All{});

template <class By> struct Alone {
  Kernel k;
  View x;
  const float* bias;
  STEEP_HD float operator()(int r, int e) const {
    const Window& w = k.window;
    const int n = static_cast<int>(w.channels), c = e % n, wide = static_cast<int>(w.kernel[1]);
    const Pixel at(e / n, w.out[1]);
    const long from = r * x.ld + c;
    float sum = bias ? bias[c] : 0.0f;
    for (int tap = 0; tap < static_cast<int>(w.taps()); ++tap) {
      const int y = seen(w, 0, at.y, tap / wide), px = seen(w, 1, at.x, tap % wide);
      if (y < 0 || px < 0) continue;
      sum = fma_(By::get(x, from + static_cast<long>(in_image(w, y, px)) * n),
                 k.w.data[in_panels(k.w.panels, tap, c)], sum);
    }
    return sum;
  }
};
template <class By> struct AloneBack {
  Kernel k;
  View dy;
  const float* bias;
  STEEP_HD float operator()(int r, int e) const {
    const Window& w = k.window;
    const int n = static_cast<int>(w.channels), c = e % n, wide = static_cast<int>(w.kernel[1]);
    const Pixel at(e / n, w.in[1]);
    const long from = r * dy.ld + c;
    float sum = bias ? bias[c] : 0.0f;
    for (int tap = 0; tap < static_cast<int>(w.taps()); ++tap) {
      const int y = looking(w, 0, at.y, tap / wide), px = looking(w, 1, at.x, tap % wide);
      if (y < 0 || px < 0) continue;
      sum = fma_(By::get(dy, from + static_cast<long>(in_result(w, y, px)) * n),
                 k.w.data[in_panels(k.w.panels, tap, c)], sum);
    }
    return sum;
  }
};
// A tap and channel of the gradient from one part of the images; the part is the row.
template <class By> struct AloneWeight {
  Kernel k;
  Portion of;
  View x, dy, parts;
  STEEP_HD void operator()(int part, int e) const {
    const Window& w = k.window;
    const int n = static_cast<int>(w.channels), c = e % n, tap = e / n;
    const int down = tap / static_cast<int>(w.kernel[1]),
              across = tap % static_cast<int>(w.kernel[1]);
    float sum = 0;
    for (int r = of.first(part); r < of.first(part) + of.count(part); ++r) {
      for (int p = 0; p < static_cast<int>(w.out_pixels()); ++p) {
        const Pixel at(p, w.out[1]);
        const int y = seen(w, 0, at.y, down), px = seen(w, 1, at.x, across);
        if (y < 0 || px < 0) continue;
        sum = fma_(By::get(x, r * x.ld + static_cast<long>(in_image(w, y, px)) * n + c),
                   By::get(dy, r * dy.ld + static_cast<long>(p) * n + c), sum);
      }
    }
    parts.data[part * parts.ld + in_panels(k.w.panels, tap, c)] = sum;
  }
};

// Rows few enough that tiles can be counted: what a row becomes depends on nobody else.
constexpr long kMostRows = 1L << 20;
template <class F> void in_stretches(const Place& at, long pixels, const F& f) {
  const long most = pixels < kMostRows ? kMostRows / pixels : 1;
  for (long first = 0; first < at.rows; first += most) {
    Place part = at;
    part.rows = static_cast<int>(at.rows - first < most ? at.rows - first : most);
    f(part, first);
  }
}

// One pass of images to images: sizes(rows) of a stretch, operands by its first row.
template <class T, class A, class B>
void pass(const Place& at, const Kernel& k, int depth, int pixels, int channels, bool relu,
          const float* bias, bool accumulate, const View& out, const A& a, const B& b) {
  in_stretches(at, pixels, [&](const Place& some, long first) {
    const Sizes sizes{some.rows * pixels, channels, depth, k.groups};
    const auto run = [&](auto e) { run_product(at, sizes, a(first), b, e); };
    const View to = out.from_row(first);
    relu ? run(Pixels<true, T>{to, bias, accumulate, pixels, k.groups, channels})
         : run(Pixels<false, T>{to, bias, accumulate, pixels, k.groups, channels});
  });
}

}  // namespace

void correlate(const Place& at, const Kernel& k, const float* bias, bool accumulate,
               const Function& f, const View& x, const View& y, const View& z) {
  const View& first = z.data ? z : y;
  const Shape s(k);
  const bool relu = f.f == kRelu && !z.data && !k.depthwise;
  if (k.depthwise) {
    write_values<Alone>(at, first, accumulate, k, x, bias);
  } else {
    with_number(x, [&]<class T>(T) {
      pass<T>(
          at, k, s.taps() * s.inputs, s.out_pixels(), s.filters, relu, bias, accumulate, first,
          [&](long r) { return Seen<T>{s, x.from_row(r)}; }, Filters{s, k.w});
    });
  }
  if (f.f >= 0 && !relu) activate(at, f.f, f.alpha, first, y);
}

void carry_back(const Place& at, const Kernel& k, const float* bias, bool accumulate,
                const Function& f, const View& dy, const View& dx, const View& z) {
  const View& first = z.data ? z : dx;
  const Shape s(k);
  const bool relu = f.f == kRelu && !z.data && !k.depthwise;
  if (k.depthwise) {
    write_values<AloneBack>(at, first, accumulate, k, dy, bias);
  } else {
    const long width = k.w.panels.columns;
    with_number(dy, [&]<class T>(T) {
      pass<T>(
          at, k, s.taps() * s.filters, s.pixels(), s.inputs, relu, bias, accumulate, first,
          [&](long r) { return Seeing<T>{s, dy.from_row(r), width}; }, FiltersTurned{s, k.w});
    });
  }
  if (f.f >= 0 && !relu) activate(at, f.f, f.alpha, first, dx);
}

// Enough pixels for a sum, and so few sums that they are small beside the images.
long images_together(const Window& window, long size) {
  constexpr long kPixels = 512, kElements = 4096;
  const long by_pixels = ceil_div(kPixels, window.out_pixels()),
             by_size = ceil_div(size, kElements);
  return by_pixels > by_size ? by_pixels : by_size;
}

void kernel_gradients(const Place& at, const Kernel& k, int images, const View& x, const View& dy,
                      const View& parts) {
  const int count = (at.rows + images - 1) / images;
  if (k.depthwise) {
    Place rows = at;
    rows.rows = count;
    const int elements = static_cast<int>(k.window.taps() * k.window.channels);
    return with_storage(
        [&]<class By>(By) {
          each(rows, elements, AloneWeight<By>{k, {at.rows, images, 1}, x, dy, parts});
        },
        x, dy);
  }
  const Shape s(k);
  const Portion of{at.rows, images, k.groups};
  const Sizes sizes{s.taps() * s.inputs, s.filters, images * s.out_pixels(), count * k.groups};
  with_number(x, [&]<class T>(T) {
    run_product(at, sizes, SeenByTap<T>{s, x, of}, Results<T>{s, dy, of},
                IntoPart{parts, k.w.panels, k.groups, s.filters});
  });
}

}  // namespace steep::cuda
