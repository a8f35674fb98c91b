// Convolutions of every channel alone in dual numbers: each element of a result or gradient is one thread's, who gathers
// in the order of the CPU's loops. And sums of the parts of gradients, of all convolutions.
#include "cuda/kernels/tangent.cuh"
// The line above comes first.
#include "cuda/kernels/tangent_images.h"
#include "cuda/kernels/window.cuh"
#include "plan/conv_sums.h"

namespace steep::cuda {

namespace {

struct Alone {
  Window w;
  Panels panels;
  const DualNumber *weight, *bias;
  Duals x;
  Alone(const DualKernel& k, const DualNumber* with, const Duals& from)
      : w(k.of.window), panels(k.of.w.panels), weight(k.data), bias(with), x(from) {}
  // The sum of what find(axis, place, tap) says is met, of pixels that begin at at(y, x).
  template <class Find, class At>
  STEEP_HD Dual sum(int r, int e, long width, const Find& find, const At& at) const {
    const int n = static_cast<int>(w.channels), c = e % n;
    const Pixel to(e / n, width);
    Dual sum = bias ? get(bias + c) : Dual(0);
    for (int a = 0; a < static_cast<int>(w.kernel[0]); ++a) {
      const int y = find(w, 0, to.y, a);
      for (int b = 0; b < static_cast<int>(w.kernel[1]) && y >= 0; ++b) {
        const int px = find(w, 1, to.x, b);
        if (px < 0) continue;
        const int tap = a * static_cast<int>(w.kernel[1]) + b;
        sum = fma_(get(x, r, at(w, y, px) * n + c), get(weight + panels.at(tap, c)), sum);
      }
    }
    return sum;
  }
};
struct AloneForward : Alone {
  using Alone::Alone;
  STEEP_HD Dual operator()(int r, int e) const {
    return sum(
        r, e, w.out[1],
        [](const Window& of, int axis, int o, int tap) { return seen(of, axis, o, tap); },
        [](const Window& of, int y, int px) { return in_image(of, y, px); });
  }
};
struct AloneBack : Alone {
  using Alone::Alone;
  STEEP_HD Dual operator()(int r, int e) const {
    return sum(
        r, e, w.in[1],
        [](const Window& of, int axis, int p, int tap) { return looking(of, axis, p, tap); },
        [](const Window& of, int y, int px) { return in_result(of, y, px); });
  }
};

struct Range { int first, end; };
// The results whose tap meets the image, along one axis.
STEEP_HD Range results_of(const Window& w, int axis, int tap) {
  const int at = tap * static_cast<int>(w.dilation[axis]) - static_cast<int>(w.before[axis]);
  const int stride = static_cast<int>(w.stride[axis]), out = static_cast<int>(w.out[axis]);
  const int first = at < 0 ? (-at + stride - 1) / stride : 0;
  const int room = static_cast<int>(w.in[axis]) - 1 - at;
  const int inside = room < 0 ? 0 : room / stride + 1;
  const int end = inside < out ? inside : out;
  return {first, end > first ? end : first};
}

// A tap and channel of the gradient from one part of the images; the part is the row.
struct AloneWeight {
  static constexpr int kTaps = 4, kStretch = 64;  // taps that go together; pixels of a sum, about
  Window w;
  Panels panels;
  int rows, images;
  Duals x, dy, parts;
  STEEP_HD void operator()(int part, int e) const {
    const int n = static_cast<int>(w.channels), c = e % n, tap = e / n;
    const int down = tap / static_cast<int>(w.kernel[1]), b = tap % static_cast<int>(w.kernel[1]);
    const int first = part * images, end = first + images < rows ? first + images : rows;
    Dual total = of_image(first, c, down, b);
    for (int r = first + 1; r < end; ++r) total = total + of_image(r, c, down, b);
    put(place(parts, part, panels.at(tap, c)), total);
  }
  // Of a row those pixels come first where not all taps that go together meet the image.
  STEEP_HD Dual of_image(int r, int c, int down, int b) const {
    const int n = static_cast<int>(w.channels), width = static_cast<int>(w.out[1]);
    const int together = b / kTaps * kTaps;
    Range all{0, width};
    for (int i = together; i < together + kTaps && i < static_cast<int>(w.kernel[1]); ++i) {
      const Range other = results_of(w, 1, i);
      all.first = max_(all.first, other.first);
      all.end = min_(all.end, other.end);
    }
    all.end = max_(all.end, all.first);
    const Range own = results_of(w, 1, b), over = results_of(w, 0, down);
    Dual total = 0, part = 0;
    int summed = 0;
    for (int i = over.first; i < over.end; ++i) {
      const int y = seen(w, 0, i, down);
      const auto add = [&](int from, int to) {
        for (int j = from; j < to; ++j)
          part = fma_(get(x, r, in_image(w, y, seen(w, 1, j, b)) * n + c),
                      get(dy, r, in_result(w, i, j) * n + c), part);
      };
      add(own.first, min_(own.end, all.first));
      add(max_(all.end, own.first), own.end);
      add(all.first, all.end);
      summed += width;
      if (summed < kStretch && i + 1 < over.end) continue;
      total = total + part;
      part = 0;
      summed = 0;
    }
    return total;
  }
};

// ---- Sums over rows, 64 at a time ----

template <class Value> __device__ __forceinline__ Dual sum_rows(int rows, const Value& value) {
  constexpr int kPart = 64;
  Dual total = 0;
  for (int first = 0; first < rows; first += kPart) {
    const int end = first + kPart < rows ? first + kPart : rows;
    Dual part = 0;
    for (int r = first; r < end; ++r) part = value(r, part);
    total += part;
  }
  return total;
}

struct ScaleGrad {  // of images of one pixel
  Panels panels;
  int rows, images;
  Duals x, dy, parts;
  __device__ void operator()(int part, int c) const {
    const int first = part * images, left = rows - first;
    const Dual sum = sum_rows(left < images ? left : images, [&](int r, Dual s) {
      return fma_(get(x, first + r, c), get(dy, first + r, c), s);
    });
    put(place(parts, part, panels.at(0, c)), sum);
  }
};

struct PartsSum {
  Duals parts;
  int count;
  DualNumber* w;
  Panels panels;
  bool accumulate;
  __device__ void operator()(int m, int n) const {
    const int at = static_cast<int>(panels.at(m, n));
    const Dual sum = sum_rows(count, [&](int r, Dual s) { return s + get(parts, r, at); });
    leave(w + at, sum, accumulate);
  }
};

}  // namespace

void correlate_alone(const Place& at, const DualKernel& k, const DualNumber* bias, bool accumulate,
                     const Duals& x, const Duals& y) {
  write_each(at, y, accumulate, AloneForward(k, bias, x));
}

void carry_back_alone(const Place& at, const DualKernel& k, const DualNumber* bias, bool accumulate,
                      const Duals& dy, const Duals& dx) {
  write_each(at, dx, accumulate, AloneBack(k, bias, dy));
}

void alone_gradients(const Place& at, const DualKernel& k, const DualParts& by, const Duals& x,
                     const Duals& dy, const Duals& parts) {
  const Window& w = k.of.window;
  const Panels& panels = k.of.w.panels;
  Place rows = at;
  rows.rows = (at.rows + by.images - 1) / by.images;
  const int elements = static_cast<int>(w.taps() * w.channels);
  one_pixel(w) ? each(rows, elements, ScaleGrad{panels, at.rows, by.images, x, dy, parts})
               : each(rows, elements, AloneWeight{w, panels, at.rows, by.images, x, dy, parts});
}

void add_parts(const Place& at, const Duals& parts, int count, const DualFactor& dw,
               bool accumulate) {
  Place rows = at;
  rows.rows = static_cast<int>(dw.panels.rows);
  each(rows, static_cast<int>(dw.panels.columns),
       PartsSum{parts, count, dw.data, dw.panels, accumulate});
}

}  // namespace steep::cuda
