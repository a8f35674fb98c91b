// The operands and results of convolutions as products: images and gradients where they lie, seen through a window.
// Who multiplies them: conv.cu.
#pragma once
#include "activations/list.h"
#include "cuda/kernels/images.h"
#include "cuda/kernels/operands.cuh"

namespace steep::cuda {

// What a functor knows of its convolution: of group `group`, so many channels of the image and filters.
struct Shape {
  Window w;
  int inputs, filters, group = 0;
  Divisor by_inputs, by_filters, by_across;                  // of a place of the kernel
  Divisor by_pixels, by_width, by_out_pixels, by_out_width;  // of a pixel among those of a batch
  Divisor by_stride[2];
  explicit Shape(const Kernel& k)
      : w(k.window), inputs(static_cast<int>(k.window.channels) / k.groups),
        filters(static_cast<int>(k.w.panels.columns) / k.groups), by_inputs(inputs),
        by_filters(filters), by_across(w.kernel[1]), by_pixels(w.pixels()), by_width(w.in[1]),
        by_out_pixels(w.out_pixels()), by_out_width(w.out[1]),
        by_stride{Divisor(w.stride[0]), Divisor(w.stride[1])} {}
  STEEP_HD int pixels() const { return static_cast<int>(w.pixels()); }
  STEEP_HD int out_pixels() const { return static_cast<int>(w.out_pixels()); }
  STEEP_HD int taps() const { return static_cast<int>(w.taps()); }
  STEEP_HD int first_input() const { return group * inputs; }
  STEEP_HD int first_filter() const { return group * filters; }
  // May the channels of a pixel be read four at once, from a multiple of four on?
  bool fours(const View& x) const { return inputs % 4 == 0 && aligned(x); }
  bool fours_of_filters(const View& y) const { return filters % 4 == 0 && aligned(y); }
  // The place in an image that (y, x) is, of so many elements a pixel; -1 where it is outside.
  STEEP_HD int in_image(int y, int x) const {
    const bool there =
        y >= 0 && x >= 0 && y < static_cast<int>(w.in[0]) && x < static_cast<int>(w.in[1]);
    return there ? (y * static_cast<int>(w.in[1]) + x) * static_cast<int>(w.channels) : -1;
  }
  // The same of the result whose tap looks at a place.
  STEEP_HD int in_result(int y, int x, int width) const {
    if (y < 0 || x < 0) return -1;
    const Divisor::Parts down = by_stride[0].of(y), across = by_stride[1].of(x);
    const bool there = down.rest == 0 && across.rest == 0 &&
                       down.quotient < static_cast<int>(w.out[0]) &&
                       across.quotient < static_cast<int>(w.out[1]);
    return there ? (down.quotient * static_cast<int>(w.out[1]) + across.quotient) * width : -1;
  }
};
template <class F> STEEP_HD F in_group(F f, int z) {
  f.s.group = z;
  return f;
}

// From a pixel of one side to the image of the other: where tap (0, 0) is.
template <class T> struct Looking {
  const T* image;
  int y, x;
};

// Four neighbouring k by find(line, k), which are neighbours in memory where they are `whole`.
template <class T, class F, class Line>
STEEP_HD typename FourOf<T>::type four_found(const F& f, bool whole, const Line& line, int k,
                                             int left) {
  using Fours = typename FourOf<T>::type;
  if (whole) {
    const T* const p = left > 0 ? f.find(line, k) : nullptr;
    return p ? *reinterpret_cast<const Fours*>(p) : Fours{};
  }
  Fours x{};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const T* const p = i < left ? f.find(line, k + i) : nullptr;
    if (p) set(x, i, *p);
  }
  return x;
}

// A(m, k) = the pixel that result m sees at (tap, channel) k
template <class T> struct Seen {
  static constexpr bool kFastK = true;
  using Number = T;
  using Line = Looking<T>;
  Shape s;
  View x;
  bool whole;
  Seen(const Shape& of, const View& in) : s(of), x(in), whole(of.fours(in)) {}
  STEEP_HD Seen part(int z) const { return in_group(*this, z); }
  STEEP_HD Line line(int m) const {
    const Divisor::Parts of = s.by_out_pixels.of(m), at = s.by_out_width.of(of.rest);
    return {numbers_of<T>(x) + of.quotient * x.ld + s.first_input(),
            at.quotient * static_cast<int>(s.w.stride[0]) - static_cast<int>(s.w.before[0]),
            at.rest * static_cast<int>(s.w.stride[1]) - static_cast<int>(s.w.before[1])};
  }
  STEEP_HD const T* find(const Line& line, int k) const {
    const Divisor::Parts of = s.by_inputs.of(k), tap = s.by_across.of(of.quotient);
    const int place = s.in_image(line.y + tap.quotient * static_cast<int>(s.w.dilation[0]),
                                 line.x + tap.rest * static_cast<int>(s.w.dilation[1]));
    return place < 0 ? nullptr : line.image + place + of.rest;
  }
  STEEP_HD typename FourOf<T>::type four(const Line& line, int k, int left) const {
    return four_found<T>(*this, whole, line, k, left);
  }
};
// B(k, n) = W(k, filter n)
struct Filters {
  static constexpr bool kFastK = false;
  struct Strip {
    const float* data;
    int step, n, left;
  };
  Shape s;
  Weight w;
  bool whole;
  Filters(const Shape& of, const Weight& by)
      : s(of), w(by), whole(of.w.channels == of.inputs || of.filters % 4 == 0) {}
  STEEP_HD Filters part(int z) const { return in_group(*this, z); }
  STEEP_HD Strip lines(int n, int all) const {
    const Strided of = Packed{w}.line(s.first_filter() + (n < all ? n : 0));
    return {of.data, static_cast<int>(of.step), n, all - n};
  }
  STEEP_HD Four four(const Strip& of, int k) const {
    if (whole && of.left > 0) {
      return *reinterpret_cast<const Four*>(of.data + static_cast<long>(k) * of.step);
    }
    Four x;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      x.of[i] = i < of.left ? w.data[in_panels(w.panels, k, s.first_filter() + of.n + i)] : 0.0f;
    }
    return x;
  }
};

// A(m, k) = the result that sees pixel m with (tap, filter) k
template <class T> struct Seeing {
  static constexpr bool kFastK = true;
  using Number = T;
  using Line = Looking<T>;
  Shape s;
  View dy;
  int width;  // of a pixel of the result
  bool whole;
  Seeing(const Shape& of, const View& up, long all)
      : s(of), dy(up), width(static_cast<int>(all)), whole(of.fours_of_filters(up)) {}
  STEEP_HD Seeing part(int z) const { return in_group(*this, z); }
  STEEP_HD Line line(int m) const {
    const Divisor::Parts of = s.by_pixels.of(m), at = s.by_width.of(of.rest);
    return {numbers_of<T>(dy) + of.quotient * dy.ld + s.first_filter(),
            at.quotient + static_cast<int>(s.w.before[0]),
            at.rest + static_cast<int>(s.w.before[1])};
  }
  STEEP_HD const T* find(const Line& line, int k) const {
    const Divisor::Parts of = s.by_filters.of(k), tap = s.by_across.of(of.quotient);
    const int place = s.in_result(line.y - tap.quotient * static_cast<int>(s.w.dilation[0]),
                                  line.x - tap.rest * static_cast<int>(s.w.dilation[1]), width);
    return place < 0 ? nullptr : line.image + place + of.rest;
  }
  STEEP_HD typename FourOf<T>::type four(const Line& line, int k, int left) const {
    return four_found<T>(*this, whole, line, k, left);
  }
};
// B(k, n) = W((tap, channel n), filter) for k = (tap, filter)
struct FiltersTurned {
  static constexpr bool kFastK = true;
  using Line = int;
  Shape s;
  Weight w;
  bool whole;
  FiltersTurned(const Shape& of, const Weight& by) : s(of), w(by), whole(of.filters % 4 == 0) {}
  STEEP_HD FiltersTurned part(int z) const { return in_group(*this, z); }
  STEEP_HD Line line(int n) const { return n; }
  STEEP_HD const float* find(Line n, int k) const {
    const Divisor::Parts of = s.by_filters.of(k);
    const int row = of.quotient * s.inputs + n;
    return w.data + in_panels(w.panels, row, s.first_filter() + of.rest);
  }
  STEEP_HD Four four(Line n, int k, int left) const {
    return four_found<float>(*this, whole, n, k, left);
  }
};

// Image m/pixels of out, channel n of this group; what is fused is ReLU.
template <bool kRelued, class T> struct Pixels {
  using Number = T;
  View out;
  const float* bias;
  bool accumulate, aligned;
  int channels, all, group = 0;  // all: channels of a pixel
  Divisor by_pixels;
  Pixels(const View& to, const float* with, bool add, int pixels, int groups, int of_group)
      : out(to), bias(with), accumulate(add), aligned(of_group % 4 == 0 && cuda::aligned(to)),
        channels(of_group), all(of_group * groups), by_pixels(pixels) {}
  STEEP_HD Pixels part(int z) const {
    Pixels of = *this;
    of.group = z;
    return of;
  }
  STEEP_HD T* place(int m, int n) const {
    const Divisor::Parts of = by_pixels.of(m);
    return room_of<T>(out) + of.quotient * out.ld + static_cast<long>(of.rest) * all +
           group * channels + n;
  }
  STEEP_HD float init(int m, int n) const {
    if (accumulate) return widened(*place(m, n));
    return bias ? bias[group * channels + n] : 0.0f;
  }
  STEEP_HD float value(int, int, float sum) const {
    return kRelued ? activations::ReLU::value<float>(sum, 0.0f) : sum;
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
template <class T> struct SeenByTap {
  static constexpr bool kFastK = false;
  using Number = T;
  struct Line { int down, across, channel; };  // where result (0, 0) looks
  struct Lines {
    Line line;
    int m, left;
  };
  Shape s;
  View x;
  Portion of;
  bool whole;
  int count = 0;
  SeenByTap(const Shape& shape, const View& in, const Portion& portion)
      : s(shape), x(in), of(portion), whole(shape.fours(in)) {}
  STEEP_HD SeenByTap part(int z) const {
    SeenByTap a = in_group(*this, z % of.groups);
    a.x = x.from_row(of.first(z));
    a.count = of.count(z);
    return a;
  }
  STEEP_HD int depth(int) const { return count * s.out_pixels(); }
  STEEP_HD Line line(int m) const {
    const Divisor::Parts at = s.by_inputs.of(m), tap = s.by_across.of(at.quotient);
    return {tap.quotient * static_cast<int>(s.w.dilation[0]) - static_cast<int>(s.w.before[0]),
            tap.rest * static_cast<int>(s.w.dilation[1]) - static_cast<int>(s.w.before[1]),
            s.first_input() + at.rest};
  }
  struct Result {
    const T* image;
    int y, x;
  };
  STEEP_HD Result result(int k) const {
    const Divisor::Parts at = s.by_out_pixels.of(k), pixel = s.by_out_width.of(at.rest);
    return {numbers_of<T>(x) + at.quotient * x.ld, pixel.quotient * static_cast<int>(s.w.stride[0]),
            pixel.rest * static_cast<int>(s.w.stride[1])};
  }
  STEEP_HD const T* find(const Line& line, const Result& from) const {
    const int place = s.in_image(from.y + line.down, from.x + line.across);
    return place < 0 ? nullptr : from.image + place + line.channel;
  }
  STEEP_HD Lines lines(int m, int all) const { return {line(m), m, all - m}; }
  using Fours = typename FourOf<T>::type;
  STEEP_HD Fours four(const Lines& at, int k) const {
    const Result from = result(k);
    if (whole) {
      const T* const p = at.left > 0 ? find(at.line, from) : nullptr;
      return p ? *reinterpret_cast<const Fours*>(p) : Fours{};
    }
    Fours y{};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const T* const p = i < at.left ? find(line(at.m + i), from) : nullptr;
      if (p) set(y, i, *p);
    }
    return y;
  }
};
// B(k, n) = filter n of result k
template <class T> struct Results {
  static constexpr bool kFastK = false;
  using Number = T;
  struct Lines { int from, left; };
  Shape s;
  View dy;
  Portion of;
  bool whole;
  Results(const Shape& shape, const View& up, const Portion& portion)
      : s(shape), dy(up), of(portion), whole(shape.fours_of_filters(up)) {}
  STEEP_HD Results part(int z) const {
    Results b = in_group(*this, z % of.groups);
    b.dy = dy.from_row(of.first(z));
    return b;
  }
  STEEP_HD const T* pixel(int k) const {
    const Divisor::Parts at = s.by_out_pixels.of(k);
    return numbers_of<T>(dy) + at.quotient * dy.ld +
           static_cast<long>(at.rest) * s.filters * of.groups;
  }
  STEEP_HD Lines lines(int n, int all) const { return {s.first_filter() + n, all - n}; }
  STEEP_HD typename FourOf<T>::type four(const Lines& at, int k) const {
    return four_at(pixel(k) + at.from, whole, at.left);
  }
};
struct IntoPart {
  View parts;
  Panels panels;
  int groups, filters, first = 0;
  bool aligned;
  IntoPart(const View& to, const Panels& as, int of, int each)
      : parts(to), panels(as), groups(of), filters(each),
        aligned((of == 1 || each % 4 == 0) && cuda::aligned(to.data, to.ld)) {}
  STEEP_HD IntoPart part(int z) const {
    IntoPart e = *this;
    e.parts.data += z / groups * parts.ld;
    e.first = z % groups * filters;
    return e;
  }
  STEEP_HD float init(int, int) const { return 0.0f; }
  STEEP_HD float* place(int m, int n) const { return parts.data + in_panels(panels, m, first + n); }
  STEEP_HD float value(int, int, float sum) const { return sum; }
};

}  // namespace steep::cuda
