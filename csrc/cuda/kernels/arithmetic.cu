// Powers, bounds and shares of elements; sums, repetitions and ranges along axes. Each element by itself but
// for sums of neighbours.
#include "base/elements.h"
#include "cuda/kernels/each.cuh"

namespace steep::cuda {

namespace {

template <class By> struct QuotientGrad {
  View dy, y, b;
  STEEP_HD float operator()(int r, int c) const {
    return -at<By>(dy, r, c) * at<By>(y, r, c) / at<By>(b, r, c);
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
template <class By> struct Power {
  PowerOf of;
  View x;
  STEEP_HD float operator()(int r, int c) const { return of(at<By>(x, r, c)); }
};
template <class By> struct PowerGrad {
  PowerOf of;  // one less
  float exponent;
  View dy, x;
  STEEP_HD float operator()(int r, int c) const {
    return at<By>(dy, r, c) * (exponent * of(at<By>(x, r, c)));
  }
};
template <class> struct Zero {
  STEEP_HD float operator()(int, int) const { return 0.0f; }
};

template <class By> struct Within {
  float low, high;
  View x;
  STEEP_HD float operator()(int r, int c) const {
    const float value = at<By>(x, r, c);
    return value < low ? low : value > high ? high : value;
  }
};
template <class By> struct WithinGrad {
  float low, high;
  View dy, x;
  STEEP_HD float operator()(int r, int c) const {
    const float value = at<By>(x, r, c);
    return value < low || value > high ? 0.0f : at<By>(dy, r, c);
  }
};
template <class By> struct WhereLarger {
  View a, b, d;
  STEEP_HD float operator()(int r, int c) const {
    return share(at<By>(a, r, c), at<By>(b, r, c), at<By>(d, r, c));
  }
};

// Terms one after the other.
template <class By> struct SumOfAxis {
  Axes axes;
  float scale;
  View x;
  STEEP_HD float operator()(int r, int c) const {
    const long from = r * x.ld + c / axes.inner * (axes.n * axes.inner) + c % axes.inner;
    float sum = By::get(x, from);
    for (int t = 1; t < axes.n; ++t) sum += By::get(x, from + t * axes.inner);
    return scale * sum;
  }
};
// Half a warp a sum of neighbours.
template <class By>
__global__ void __launch_bounds__(64)
    sum_neighbours(int rows, int outer, float scale, View x, View y, bool accumulate) {
  const Part at(rows, outer, x.columns);
  const long from = at.place(x);
  float sum = 0;
  for (int c = at.lane; c < at.columns; c += kHalf) sum += By::get(x, from + c);
  sum = scale * fold_lanes(sum);
  if (!at.there || at.lane != 0) return;
  const long to = at.r * y.ld + at.from / at.columns;
  By::put(y, to, accumulate ? By::get(y, to) + sum : sum);
}

template <class By> struct Repeated {
  Axes axes;
  float scale;
  View x;
  STEEP_HD float operator()(int r, int c) const {
    const int outer = c / (axes.n * axes.inner);
    return scale * at<By>(x, r, outer * axes.inner + c % axes.inner);
  }
};
template <class By> struct Sliced {
  Axes axes;
  int first, columns;
  View x;
  STEEP_HD float operator()(int r, int c) const {
    return at<By>(x, r, c / columns * (axes.n * axes.inner) + first + c % columns);
  }
};
template <class By> struct PutBack {  // what lies outside of the range is left alone, or 0
  Axes axes;
  int first, columns;
  View dy, dx;
  bool accumulate;
  STEEP_HD void operator()(int r, int c) const {
    const int width = axes.n * axes.inner, place = c % width - first;
    const long to = r * dx.ld + c;
    if (place >= 0 && place < columns) {
      const float value = at<By>(dy, r, c / width * columns + place);
      By::put(dx, to, accumulate ? By::get(dx, to) + value : value);
    } else if (!accumulate) {
      By::put(dx, to, 0.0f);
    }
  }
};

}  // namespace

void divide_grad(const Place& at, const View& dy, const View& y, const View& b, const View& out,
                 bool accumulate) {
  write_values<QuotientGrad>(at, out, accumulate, dy, y, b);
}

void power(const Place& at, double exponent, const View& x, const View& y) {
  write_values<Power>(at, y, false, PowerOf(exponent), x);
}

void power_grad(const Place& at, double exponent, const View& dy, const View& x, const View& dx,
                bool accumulate) {
  if (exponent == 0) return write_values<Zero>(at, dx, accumulate);
  write_values<PowerGrad>(at, dx, accumulate, PowerOf(exponent - 1), static_cast<float>(exponent),
                          dy, x);
}

void keep_within(const Place& at, float low, float high, const View& x, const View& y) {
  write_values<Within>(at, y, false, low, high, x);
}

void keep_within_grad(const Place& at, float low, float high, const View& dy, const View& x,
                      const View& dx, bool accumulate) {
  write_values<WithinGrad>(at, dx, accumulate, low, high, dy, x);
}

void where_larger(const Place& at, const View& a, const View& b, const View& d, const View& y,
                  bool accumulate) {
  write_values<WhereLarger>(at, y, accumulate, a, b, d);
}

void sum_axes(const Place& at, const Axes& axes, float scale, const View& x, const View& y,
              bool accumulate) {
  if (axes.inner > 1) return write_values<SumOfAxis>(at, y, accumulate, axes, scale, x);
  const long sums = static_cast<long>(at.rows) * axes.outer;
  with_storage(
      [&]<class By>(By) {
        start(at.stream, dim3(blocks_of(sums, 64 / kHalf)), dim3(64), sum_neighbours<By>, at.rows,
              axes.outer, scale, x, y, accumulate);
      },
      x, y);
}

void repeat_axes(const Place& at, const Axes& axes, float scale, const View& x, const View& y,
                 bool accumulate) {
  write_values<Repeated>(at, y, accumulate, axes, scale, x);
}

void slice_axes(const Place& at, const Axes& axes, int first, int last, const View& x,
                const View& y) {
  write_values<Sliced>(at, y, false, axes, first * axes.inner, (last - first) * axes.inner, x);
}

void slice_axes_grad(const Place& at, const Axes& axes, int first, int last, const View& dy,
                     const View& dx, bool accumulate) {
  with_storage(
      [&]<class By>(By) {
        each(
            at, dx.columns,
            PutBack<By>{axes, first * axes.inner, (last - first) * axes.inner, dy, dx, accumulate});
      },
      dy, dx);
}

}  // namespace steep::cuda
