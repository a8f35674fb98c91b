// Convolutions in dual numbers, in three passes, transposed and grouped ones among them: products by tiles whose operands
// find pixels where they lie. Each element is one thread's sum, over taps and channels, or images and pixels, in the
// order of the CPU's loops. Those of every channel alone: tangent_depthwise.cu.
#include "cuda/kernels/tangent_tiles.cuh"
// The line above comes first.
#include "cuda/kernels/conv.cuh"
#include "cuda/kernels/tangent_images.h"

namespace steep::cuda {

namespace {

struct Filtering {  // what operands share
  Shape s;
  const DualNumber* w;
  Panels panels;
  explicit Filtering(const DualKernel& k) : s(k.of), w(k.data), panels(k.of.w.panels) {}
  STEEP_HD int vertical(int tap) const { return tap * static_cast<int>(s.w.dilation[0]); }
  STEEP_HD int horizontal(int tap) const { return tap * static_cast<int>(s.w.dilation[1]); }
  STEEP_HD int across() const { return static_cast<int>(panels.columns); }  // filters of a pixel
};

struct Looks : Filtering {  // (m, k): what result m sees at (tap, channel) k
  static constexpr bool kFastK = true;
  Duals x;
  Looks(const DualKernel& k, const Duals& in) : Filtering(k), x(in) {}
  STEEP_HD Dual operator()(int m, int k) const {
    const Divisor::Parts of = s.by_out_pixels.of(m), at = s.by_out_width.of(of.rest);
    const Divisor::Parts by = s.by_inputs.of(k), tap = s.by_across.of(by.quotient);
    const int y = at.quotient * static_cast<int>(s.w.stride[0]) - static_cast<int>(s.w.before[0]);
    const int c = at.rest * static_cast<int>(s.w.stride[1]) - static_cast<int>(s.w.before[1]);
    const int pixel = s.in_image(y + vertical(tap.quotient), c + horizontal(tap.rest));
    return pixel < 0 ? Dual(0) : get(x, of.quotient, pixel + s.first_input() + by.rest);
  }
};
struct ByFilter : Filtering {  // (n, k): filter n at (tap, channel) k
  static constexpr bool kFastK = false;
  using Filtering::Filtering;
  STEEP_HD Dual operator()(int n, int k) const {
    return get(w + panels.at(k, s.first_filter() + n));
  }
};

struct LooksBack
    : Filtering {  // (m, k): the result that sees pixel m at (tap, filter) k, from the last tap on
  static constexpr bool kFastK = true;
  Duals dy;
  LooksBack(const DualKernel& k, const Duals& up) : Filtering(k), dy(up) {}
  STEEP_HD Dual operator()(int m, int k) const {
    const Divisor::Parts of = s.by_pixels.of(m), at = s.by_width.of(of.rest);
    const Divisor::Parts by = s.by_filters.of(k), tap = s.by_across.of(s.taps() - 1 - by.quotient);
    const int y = at.quotient + static_cast<int>(s.w.before[0]) - vertical(tap.quotient);
    const int x = at.rest + static_cast<int>(s.w.before[1]) - horizontal(tap.rest);
    const int pixel = s.in_result(y, x, across());
    return pixel < 0 ? Dual(0) : get(dy, of.quotient, pixel + s.first_filter() + by.rest);
  }
};
struct ByInput : Filtering {  // (n, k): channel n at (tap, filter) k, likewise
  static constexpr bool kFastK = true;
  using Filtering::Filtering;
  STEEP_HD Dual operator()(int n, int k) const {
    const Divisor::Parts by = s.by_filters.of(k);
    const int row = (s.taps() - 1 - by.quotient) * s.inputs + n;
    return get(w + panels.at(row, s.first_filter() + by.rest));
  }
};

// Image m/pixels, channel n of a group.
struct IntoPixels {
  Duals y;
  const DualNumber* bias;
  bool accumulate;
  Divisor by_pixels;
  int channels, all, group = 0;  // all: channels of a pixel
  STEEP_HD DualNumber* at(int m, int n) const {
    const Divisor::Parts of = by_pixels.of(m);
    return place(y, of.quotient, static_cast<long>(of.rest) * all + group * channels + n);
  }
  STEEP_HD Dual init(int m, int n) const {
    return accumulate ? get(at(m, n)) : bias ? get(bias + group * channels + n) : Dual(0);
  }
};

// A group is blockIdx.z.
template <class A, class B>
__global__ void __launch_bounds__(kTile* kTile)
    slide_tiles(int m, int n, int depth, A a, B b, IntoPixels into) {
  STEEP_SHARED(left, DualNumber[kTile][kTile + 1]);
  STEEP_SHARED(right, DualNumber[kTile][kTile + 1]);
  const Spot at;
  const bool there = at.row < m && at.column < n;
  a.s.group = b.s.group = into.group = static_cast<int>(blockIdx.z);
  const Dual from = there ? into.init(at.row, at.column) : Dual(0);
  const Dual sum = at.meet(a, m, b, n, depth, left, right, from);
  if (there) put(into.at(at.row, at.column), sum);
}

// Which pixels of results a sum is over: stretches, each summed by itself.
struct Stretches {
  Shape s;
  DualParts by;
  int rows, first = 0, images = 0;         // of the batch; of a part
  Divisor by_strips, by_pixels, by_width;  // of an image's stretches; of a stretch, and of its rows
  Stretches(const DualKernel& k, const DualParts& parts, int all)
      : s(k.of), by(parts), rows(all), by_strips(parts.strip > 0 ? strips() : 1),
        by_pixels(s.out_pixels() / parts.share), by_width(s.w.out[1] / parts.share) {}
  STEEP_HD int height() const { return static_cast<int>(s.w.out[0]); }
  STEEP_HD int width() const { return static_cast<int>(s.w.out[1]); }
  STEEP_HD int strips() const { return (height() + by.strip - 1) / by.strip; }
  STEEP_HD void of_part(int part) {
    first = part * by.images;
    images = rows - first < by.images ? rows - first : by.images;
  }
  STEEP_HD int count() const { return by.strip > 0 ? images * by_strips.by() : by.share; }
  STEEP_HD int depth(int stretch) const {
    if (by.strip == 0) return images * by_pixels.by();
    const int lo = by_strips.of(stretch).rest * by.strip;
    return (height() - lo < by.strip ? height() - lo : by.strip) * width();
  }
  struct Pixel { int image, y, x; };
  STEEP_HD Pixel pixel(int stretch, int k) const {
    if (by.strip > 0) {
      const Divisor::Parts of = by_strips.of(stretch), at = by_width.of(k);
      return {first + of.quotient, of.rest * by.strip + at.quotient, at.rest};
    }
    const Divisor::Parts of = by_pixels.of(k), at = by_width.of(of.rest);
    return {first + of.quotient, at.quotient, at.rest * by.share + stretch};
  }
};

struct TapsDown {  // (m, k): what pixel k of results sees at (tap, channel) m
  static constexpr bool kFastK = false;
  const Filtering& f;
  const Stretches& of;
  int stretch;
  Duals x;
  STEEP_HD Dual operator()(int m, int k) const {
    const Stretches::Pixel at = of.pixel(stretch, k);
    const Divisor::Parts by = f.s.by_inputs.of(m), tap = f.s.by_across.of(by.quotient);
    const Window& w = f.s.w;
    const int y = at.y * static_cast<int>(w.stride[0]) - static_cast<int>(w.before[0]);
    const int c = at.x * static_cast<int>(w.stride[1]) - static_cast<int>(w.before[1]);
    const int pixel = f.s.in_image(y + f.vertical(tap.quotient), c + f.horizontal(tap.rest));
    return pixel < 0 ? Dual(0) : get(x, at.image, pixel + f.s.first_input() + by.rest);
  }
};
struct ResultsDown {  // (n, k): pixel k of results, filter n
  static constexpr bool kFastK = false;
  const Filtering& f;
  const Stretches& of;
  int stretch;
  Duals dy;
  STEEP_HD Dual operator()(int n, int k) const {
    const Stretches::Pixel at = of.pixel(stretch, k);
    const int pixel = at.y * of.width() + at.x;
    return get(dy, at.image, pixel * f.across() + f.s.first_filter() + n);
  }
};

// A part and a group is blockIdx.z.
__global__ void __launch_bounds__(kTile* kTile)
    gradient_tiles(int m, int n, Divisor groups, Filtering f, Stretches of, Duals x, Duals dy,
                   Duals parts) {
  STEEP_SHARED(left, DualNumber[kTile][kTile + 1]);
  STEEP_SHARED(right, DualNumber[kTile][kTile + 1]);
  const Spot at;
  const Divisor::Parts part = groups.of(static_cast<int>(blockIdx.z));
  f.s.group = part.rest;
  of.of_part(part.quotient);
  Dual total = 0;
  for (int i = 0; i < of.count(); ++i) {
    total += at.meet(TapsDown{f, of, i, x}, m, ResultsDown{f, of, i, dy}, n, of.depth(i), left,
                     right, Dual(0));
  }
  if (at.row < m && at.column < n)
    put(place(parts, part.quotient, f.panels.at(at.row, f.s.first_filter() + at.column)), total);
}

Duals from_row(Duals x, long first) {
  x.data += first * x.ld;
  return x;
}

// Rows few enough that pixels are counted in 31 bits: what a row becomes depends on nobody else.
template <class Slide> void in_stretches(const Place& at, long pixels, const Slide& slide) {
  const long most = (1L << 30) / pixels;
  for (long first = 0; first < at.rows; first += most) {
    slide(first, static_cast<int>(at.rows - first < most ? at.rows - first : most));
  }
}

template <class A, class B>
void slide(const Place& at, int m, int depth, int groups, const A& a, const B& b,
           const IntoPixels& into) {
  const dim3 grid(blocks_of(m, kTile), blocks_of(into.channels, kTile),
                  static_cast<unsigned>(groups));
  start(at.stream, grid, dim3(kTile * kTile), slide_tiles<A, B>, m, into.channels, depth, a, b,
        into);
}

}  // namespace

void correlate(const Place& at, const DualKernel& k, const DualNumber* bias, bool accumulate,
               const Duals& x, const Duals& y) {
  if (k.of.depthwise) return correlate_alone(at, k, bias, accumulate, x, y);
  const Shape s(k.of);
  in_stretches(at, s.out_pixels(), [&](long first, int rows) {
    const IntoPixels into{from_row(y, first),      bias,      accumulate,
                          Divisor(s.out_pixels()), s.filters, s.filters * k.of.groups};
    slide(at, rows * s.out_pixels(), s.taps() * s.inputs, k.of.groups, Looks(k, from_row(x, first)),
          ByFilter(k), into);
  });
}

void carry_back(const Place& at, const DualKernel& k, const DualNumber* bias, bool accumulate,
                const Duals& dy, const Duals& dx) {
  if (k.of.depthwise) return carry_back_alone(at, k, bias, accumulate, dy, dx);
  const Shape s(k.of);
  in_stretches(at, s.pixels(), [&](long first, int rows) {
    const IntoPixels into{from_row(dx, first), bias,     accumulate,
                          Divisor(s.pixels()), s.inputs, s.inputs * k.of.groups};
    slide(at, rows * s.pixels(), s.taps() * s.filters, k.of.groups,
          LooksBack(k, from_row(dy, first)), ByInput(k), into);
  });
}

void kernel_gradients(const Place& at, const DualKernel& k, const DualParts& by, const Duals& x,
                      const Duals& dy, const Duals& parts) {
  const int count = (at.rows + by.images - 1) / by.images;
  if (k.of.depthwise) return alone_gradients(at, k, by, x, dy, parts);
  const Filtering f(k);
  const int m = f.s.taps() * f.s.inputs, n = f.s.filters;
  // Of many parts so many at a time as a grid is deep.
  constexpr int kMostDeep = 65535;
  const int most = kMostDeep / k.of.groups > 0 ? kMostDeep / k.of.groups : 1;
  for (int first = 0; first < count; first += most) {
    const int some = count - first < most ? count - first : most;
    const long row = static_cast<long>(first) * by.images;
    const Stretches of(k, by, at.rows - static_cast<int>(row));
    const dim3 grid(blocks_of(m, kTile), blocks_of(n, kTile),
                    static_cast<unsigned>(some * k.of.groups));
    start(at.stream, grid, dim3(kTile * kTile), gradient_tiles, m, n, Divisor(k.of.groups), f, of,
          from_row(x, row), from_row(dy, row), from_row(parts, first));
  }
}

}  // namespace steep::cuda
