// Powers, bounds and shares of elements; sums, repetitions and ranges along axes. Each element by itself but
// for sums of neighbours.
#include "base/elements.h"
#include "cuda/kernels/each.cuh"

namespace steep::cuda {

namespace {

struct QuotientGrad {
  View dy, y, b;
  STEEP_HD float operator()(int r, int c) const {
    return -at(dy, r, c) * at(y, r, c) / at(b, r, c);
  }
};

// By products and roots where that is exact or nearly so.
struct PowerOf {
  enum { kWhole, kInverse, kRoot, kInverseRoot, kAny } kind;
  int n;
  double exponent;
  explicit PowerOf(double exponent) : kind(kAny), n(0), exponent(exponent) {
    const double size = exponent < 0 ? -exponent : exponent;
    n = size <= kMostFactors ? static_cast<int>(size) : 0;
    if (size == n) kind = exponent >= 0 ? kWhole : kInverse;
    if (exponent == 0.5) kind = kRoot;
    if (exponent == -0.5) kind = kInverseRoot;
  }
  STEEP_HD float operator()(float x) const {
    if (kind == kWhole) return whole_power(x, n);
    if (kind == kInverse) return 1.0f / whole_power(x, n);
    if (kind == kRoot) return sqrt_(x);
    if (kind == kInverseRoot) return 1.0f / sqrt_(x);
    return any_power(x, exponent);
  }
};
struct Power {
  PowerOf of;
  View x;
  STEEP_HD float operator()(int r, int c) const { return of(at(x, r, c)); }
};
struct PowerGrad {
  PowerOf of;  // one less
  float exponent;
  View dy, x;
  STEEP_HD float operator()(int r, int c) const {
    return at(dy, r, c) * (exponent * of(at(x, r, c)));
  }
};
struct Zero {
  STEEP_HD float operator()(int, int) const { return 0.0f; }
};

struct Within {
  float low, high;
  View x;
  STEEP_HD float operator()(int r, int c) const {
    const float value = at(x, r, c);
    return value < low ? low : value > high ? high : value;
  }
};
struct WithinGrad {
  float low, high;
  View dy, x;
  STEEP_HD float operator()(int r, int c) const {
    const float value = at(x, r, c);
    return value < low || value > high ? 0.0f : at(dy, r, c);
  }
};
struct WhereLarger {
  View a, b, d;
  STEEP_HD float operator()(int r, int c) const {
    return share(at(a, r, c), at(b, r, c), at(d, r, c));
  }
};

// Terms one after the other.
struct SumOfAxis {
  Axes axes;
  float scale;
  View x;
  STEEP_HD float operator()(int r, int c) const {
    const float* const from =
        x.data + r * x.ld + c / axes.inner * (axes.n * axes.inner) + c % axes.inner;
    float sum = from[0];
    for (int t = 1; t < axes.n; ++t) sum += from[t * axes.inner];
    return scale * sum;
  }
};
// Half a warp a sum of neighbours.
__global__ void __launch_bounds__(64)
    sum_neighbours(int rows, int outer, float scale, View x, View y, bool accumulate) {
  const Part at(rows, outer, x.columns);
  const float* const from = at.of(x);
  float sum = 0;
  for (int c = at.lane; c < at.columns; c += kHalf) sum += from[c];
  sum = scale * fold_lanes(sum);
  if (!at.there || at.lane != 0) return;
  float* const to = y.data + at.r * y.ld + at.from / at.columns;
  *to = accumulate ? *to + sum : sum;
}

struct Repeated {
  Axes axes;
  float scale;
  View x;
  STEEP_HD float operator()(int r, int c) const {
    const int outer = c / (axes.n * axes.inner);
    return scale * at(x, r, outer * axes.inner + c % axes.inner);
  }
};
struct Sliced {
  Axes axes;
  int first, columns;
  View x;
  STEEP_HD float operator()(int r, int c) const {
    return at(x, r, c / columns * (axes.n * axes.inner) + first + c % columns);
  }
};
struct PutBack {  // what lies outside of the range is left alone, or 0
  Axes axes;
  int first, columns;
  View dy, dx;
  bool accumulate;
  STEEP_HD void operator()(int r, int c) const {
    const int width = axes.n * axes.inner, place = c % width - first;
    float* const to = dx.data + r * dx.ld + c;
    if (place >= 0 && place < columns) {
      const float value = at(dy, r, c / width * columns + place);
      *to = accumulate ? *to + value : value;
    } else if (!accumulate) {
      *to = 0;
    }
  }
};

}  // namespace

void divide_grad(const Place& at, const View& dy, const View& y, const View& b, const View& out,
                 bool accumulate) {
  write_each(at, out, accumulate, QuotientGrad{dy, y, b});
}

void power(const Place& at, double exponent, const View& x, const View& y) {
  write_each(at, y, false, Power{PowerOf(exponent), x});
}

void power_grad(const Place& at, double exponent, const View& dy, const View& x, const View& dx,
                bool accumulate) {
  if (exponent == 0) return write_each(at, dx, accumulate, Zero{});
  write_each(at, dx, accumulate,
             PowerGrad{PowerOf(exponent - 1), static_cast<float>(exponent), dy, x});
}

void keep_within(const Place& at, float low, float high, const View& x, const View& y) {
  write_each(at, y, false, Within{low, high, x});
}

void keep_within_grad(const Place& at, float low, float high, const View& dy, const View& x,
                      const View& dx, bool accumulate) {
  write_each(at, dx, accumulate, WithinGrad{low, high, dy, x});
}

void where_larger(const Place& at, const View& a, const View& b, const View& d, const View& y,
                  bool accumulate) {
  write_each(at, y, accumulate, WhereLarger{a, b, d});
}

void sum_axes(const Place& at, const Axes& axes, float scale, const View& x, const View& y,
              bool accumulate) {
  if (axes.inner > 1) return write_each(at, y, accumulate, SumOfAxis{axes, scale, x});
  const long sums = static_cast<long>(at.rows) * axes.outer;
  start(at.stream, dim3(blocks_of(sums, 64 / kHalf)), dim3(64), sum_neighbours, at.rows, axes.outer,
        scale, x, y, accumulate);
}

void repeat_axes(const Place& at, const Axes& axes, float scale, const View& x, const View& y,
                 bool accumulate) {
  write_each(at, y, accumulate, Repeated{axes, scale, x});
}

void slice_axes(const Place& at, const Axes& axes, int first, int last, const View& x,
                const View& y) {
  write_each(at, y, false, Sliced{axes, first * axes.inner, (last - first) * axes.inner, x});
}

void slice_axes_grad(const Place& at, const Axes& axes, int first, int last, const View& dy,
                     const View& dx, bool accumulate) {
  each(at, dx.columns,
       PutBack{axes, first * axes.inner, (last - first) * axes.inner, dy, dx, accumulate});
}

}  // namespace steep::cuda
