// Convolutions in three passes, transposed and grouped ones among them: products whose operands find pixels where
// they lie. Those of every channel alone gather.
#include "activations/list.h"
#include "cuda/kernels/each.cuh"
#include "cuda/kernels/product.cuh"
#include "cuda/kernels/window.cuh"

namespace steep::cuda {

namespace {

constexpr int kRelu = index_of<activations::ReLU>(activations::All{});

// What a functor knows of its convolution: of group `group`, so many channels of the image and filters.
struct Shape {
  Window w;
  int inputs, filters, group = 0;
  explicit Shape(const Kernel& k)
      : w(k.window), inputs(static_cast<int>(k.window.channels) / k.groups),
        filters(static_cast<int>(k.w.panels.columns) / k.groups) {}
  STEEP_HD int pixels() const { return static_cast<int>(w.pixels()); }
  STEEP_HD int out_pixels() const { return static_cast<int>(w.out_pixels()); }
  STEEP_HD int taps() const { return static_cast<int>(w.taps()); }
  STEEP_HD int first_input() const { return group * inputs; }
  STEEP_HD int first_filter() const { return group * filters; }
};
template <class F> STEEP_HD F in_group(F f, int z) {
  f.s.group = z;
  return f;
}

struct Looking {  // from a pixel of one side to the image of the other
  const float* image;
  int y, x;
};

// A(m, k) = the pixel that result m sees at (tap, channel) k
struct Seen {
  static constexpr bool kFastK = true;
  using Line = Looking;
  Shape s;
  View x;
  STEEP_HD Seen part(int z) const { return in_group(*this, z); }
  STEEP_HD Line line(int m) const {
    const Pixel at(m % s.out_pixels(), s.w.out[1]);
    return {x.data + m / s.out_pixels() * x.ld + s.first_input(), at.y, at.x};
  }
  STEEP_HD float at(const Line& line, int k) const {
    const int tap = k / s.inputs, wide = static_cast<int>(s.w.kernel[1]);
    const int y = seen(s.w, 0, line.y, tap / wide), px = seen(s.w, 1, line.x, tap % wide);
    if (y < 0 || px < 0) return 0.0f;
    return line.image[in_image(s.w, y, px) * s.w.channels + k % s.inputs];
  }
};
// B(k, n) = W(k, filter n)
struct Filters {
  static constexpr bool kFastK = false;
  using Line = Strided;
  Shape s;
  Weight w;
  STEEP_HD Filters part(int z) const { return in_group(*this, z); }
  STEEP_HD Line line(int n) const { return Packed{w}.line(s.first_filter() + n); }
  STEEP_HD float at(Line line, int k) const { return line.data[k * line.step]; }
};

// A(m, k) = the result that sees pixel m with (tap, filter) k
struct Seeing {
  static constexpr bool kFastK = true;
  using Line = Looking;
  Shape s;
  View dy;
  long width;  // of a pixel of the result
  STEEP_HD Seeing part(int z) const { return in_group(*this, z); }
  STEEP_HD Line line(int m) const {
    const Pixel at(m % s.pixels(), s.w.in[1]);
    return {dy.data + m / s.pixels() * dy.ld + s.first_filter(), at.y, at.x};
  }
  STEEP_HD float at(const Line& line, int k) const {
    const int tap = k / s.filters, wide = static_cast<int>(s.w.kernel[1]);
    const int y = looking(s.w, 0, line.y, tap / wide), px = looking(s.w, 1, line.x, tap % wide);
    if (y < 0 || px < 0) return 0.0f;
    return line.image[in_result(s.w, y, px) * width + k % s.filters];
  }
};
// B(k, n) = W((tap, channel n), filter) for k = (tap, filter)
struct FiltersTurned {
  static constexpr bool kFastK = true;
  using Line = int;
  Shape s;
  Weight w;
  STEEP_HD FiltersTurned part(int z) const { return in_group(*this, z); }
  STEEP_HD Line line(int n) const { return n; }
  STEEP_HD float at(Line n, int k) const {
    const int row = k / s.filters * s.inputs + n;
    return w.data[in_panels(w.panels, row, s.first_filter() + k % s.filters)];
  }
};

// Image m/pixels of out, channel n of this group; what is fused is ReLU.
template <bool kRelued> struct Pixels {
  View out;
  const float* bias;
  bool accumulate;
  int pixels, all, channels, group = 0;  // all: channels of a pixel
  STEEP_HD Pixels part(int z) const {
    Pixels of = *this;
    of.group = z;
    return of;
  }
  STEEP_HD float* place(int m, int n) const {
    return out.data + m / pixels * out.ld + static_cast<long>(m % pixels) * all + group * channels +
           n;
  }
  STEEP_HD float init(int m, int n) const {
    if (accumulate) return *place(m, n);
    return bias ? bias[group * channels + n] : 0.0f;
  }
  STEEP_HD void store(int m, int n, float sum) const {
    *place(m, n) = kRelued ? activations::ReLU::value<float>(sum, 0.0f) : sum;
  }
};

// Product z is group z % groups of the filters and part z / groups of the images; k counts a part's pixels.
struct Portion {
  int rows, images, groups;
  STEEP_HD int first(int z) const { return z / groups * images; }
  STEEP_HD int count(int z) const {
    const int left = rows - first(z);
    return left < images ? left : images;
  }
};
// A(m, k) = what result k sees at (tap, channel) m
struct SeenByTap {
  static constexpr bool kFastK = false;
  struct Line { int down, across, channel; };
  Shape s;
  View x;
  Portion of;
  int count = 0;
  STEEP_HD SeenByTap part(int z) const {
    SeenByTap a = in_group(*this, z % of.groups);
    a.x.data += of.first(z) * x.ld;
    a.count = of.count(z);
    return a;
  }
  STEEP_HD int depth(int) const { return count * s.out_pixels(); }
  STEEP_HD Line line(int m) const {
    const int tap = m / s.inputs, wide = static_cast<int>(s.w.kernel[1]);
    return {tap / wide, tap % wide, s.first_input() + m % s.inputs};
  }
  STEEP_HD float at(const Line& line, int k) const {
    const Pixel at(k % s.out_pixels(), s.w.out[1]);
    const int y = seen(s.w, 0, at.y, line.down), px = seen(s.w, 1, at.x, line.across);
    if (y < 0 || px < 0) return 0.0f;
    const float* const image = x.data + k / s.out_pixels() * x.ld;
    return image[in_image(s.w, y, px) * s.w.channels + line.channel];
  }
};
// B(k, n) = filter n of result k
struct Results {
  static constexpr bool kFastK = false;
  using Line = int;
  Shape s;
  View dy;
  Portion of;
  STEEP_HD Results part(int z) const {
    Results b = in_group(*this, z % of.groups);
    b.dy.data += of.first(z) * dy.ld;
    return b;
  }
  STEEP_HD Line line(int n) const { return s.first_filter() + n; }
  STEEP_HD float at(Line n, int k) const {
    return dy.data[k / s.out_pixels() * dy.ld +
                   static_cast<long>(k % s.out_pixels()) * s.filters * of.groups + n];
  }
};
struct IntoPart {
  View parts;
  Panels panels;
  int groups, filters, first = 0;
  STEEP_HD IntoPart part(int z) const {
    IntoPart e = *this;
    e.parts.data += z / groups * parts.ld;
    e.first = z % groups * filters;
    return e;
  }
  STEEP_HD float init(int, int) const { return 0.0f; }
  STEEP_HD void store(int m, int n, float sum) const {
    parts.data[in_panels(panels, m, first + n)] = sum;
  }
};

// ---- Every channel alone ----

struct Alone {
  Kernel k;
  View x;
  const float* bias;
  STEEP_HD float operator()(int r, int e) const {
    const Window& w = k.window;
    const int n = static_cast<int>(w.channels), c = e % n, wide = static_cast<int>(w.kernel[1]);
    const Pixel at(e / n, w.out[1]);
    const float* const from = x.data + r * x.ld + c;
    float sum = bias ? bias[c] : 0.0f;
    for (int tap = 0; tap < static_cast<int>(w.taps()); ++tap) {
      const int y = seen(w, 0, at.y, tap / wide), px = seen(w, 1, at.x, tap % wide);
      if (y < 0 || px < 0) continue;
      sum = fma_(from[static_cast<long>(in_image(w, y, px)) * n],
                 k.w.data[in_panels(k.w.panels, tap, c)], sum);
    }
    return sum;
  }
};
struct AloneBack {
  Kernel k;
  View dy;
  const float* bias;
  STEEP_HD float operator()(int r, int e) const {
    const Window& w = k.window;
    const int n = static_cast<int>(w.channels), c = e % n, wide = static_cast<int>(w.kernel[1]);
    const Pixel at(e / n, w.in[1]);
    const float* const from = dy.data + r * dy.ld + c;
    float sum = bias ? bias[c] : 0.0f;
    for (int tap = 0; tap < static_cast<int>(w.taps()); ++tap) {
      const int y = looking(w, 0, at.y, tap / wide), px = looking(w, 1, at.x, tap % wide);
      if (y < 0 || px < 0) continue;
      sum = fma_(from[static_cast<long>(in_result(w, y, px)) * n],
                 k.w.data[in_panels(k.w.panels, tap, c)], sum);
    }
    return sum;
  }
};
// A tap and channel of the gradient from one part of the images; the part is the row.
struct AloneWeight {
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
        sum = fma_(x.data[r * x.ld + static_cast<long>(in_image(w, y, px)) * n + c],
                   dy.data[r * dy.ld + static_cast<long>(p) * n + c], sum);
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
View from_row(View x, long r) {
  x.data += r * x.ld;
  return x;
}

// One pass of images to images: sizes(rows) of a stretch, operands by its first row.
template <class A, class B>
void pass(const Place& at, const Kernel& k, int depth, int pixels, int channels, bool relu,
          const float* bias, bool accumulate, const View& out, const A& a, const B& b) {
  in_stretches(at, pixels, [&](const Place& some, long first) {
    const Sizes sizes{some.rows * pixels, channels, depth, k.groups};
    const auto run = [&](auto e) { run_product(at, sizes, a(first), b, e); };
    const View to = from_row(out, first);
    const int all = channels * k.groups;
    relu ? run(Pixels<true>{to, bias, accumulate, pixels, all, channels})
         : run(Pixels<false>{to, bias, accumulate, pixels, all, channels});
  });
}

}  // namespace

void correlate(const Place& at, const Kernel& k, const float* bias, bool accumulate,
               const Function& f, const View& x, const View& y, const View& z) {
  const View& first = z.data ? z : y;
  const Shape s(k);
  const bool relu = f.f == kRelu && !z.data && !k.depthwise;
  if (k.depthwise) {
    write_each(at, first, accumulate, Alone{k, x, bias});
  } else {
    pass(
        at, k, s.taps() * s.inputs, s.out_pixels(), s.filters, relu, bias, accumulate, first,
        [&](long r) { return Seen{s, from_row(x, r)}; }, Filters{s, k.w});
  }
  if (f.f >= 0 && !relu) activate(at, f.f, f.alpha, first, y);
}

void carry_back(const Place& at, const Kernel& k, const float* bias, bool accumulate,
                const Function& f, const View& dy, const View& dx, const View& z) {
  const View& first = z.data ? z : dx;
  const Shape s(k);
  const bool relu = f.f == kRelu && !z.data && !k.depthwise;
  if (k.depthwise) {
    write_each(at, first, accumulate, AloneBack{k, dy, bias});
  } else {
    const long width = k.w.panels.columns;
    pass(
        at, k, s.taps() * s.filters, s.pixels(), s.inputs, relu, bias, accumulate, first,
        [&](long r) { return Seeing{s, from_row(dy, r), width}; }, FiltersTurned{s, k.w});
  }
  if (f.f >= 0 && !relu) activate(at, f.f, f.alpha, first, dx);
}

// Enough pixels for a sum, and so few sums that they are small beside the images.
long images_together(const Window& window, long size) {
  constexpr long kPixels = 2048, kElements = 4096;
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
    return each(rows, elements, AloneWeight{k, {at.rows, images, 1}, x, dy, parts});
  }
  const Shape s(k);
  const Portion of{at.rows, images, k.groups};
  const Sizes sizes{s.taps() * s.inputs, s.filters, images * s.out_pixels(), count * k.groups};
  run_product(at, sizes, SeenByTap{s, x, of}, Results{s, dy, of},
              IntoPart{parts, k.w.panels, k.groups, s.filters});
}

}  // namespace steep::cuda
