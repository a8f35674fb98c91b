// Batch normalisation in dual numbers: sums of each sample and over samples by one thread a channel, in the CPU's
// order; maps of each element.
#include "cuda/kernels/tangent.cuh"
// The line above comes first.
#include "cuda/kernels/tangent_norms.h"

namespace steep::cuda {

namespace {

// Four interleaved parts of stretches of 256 pixels, of what step(sum, p) makes of a sum.
template <class Step> __device__ __forceinline__ Dual over_pixels(int pixels, const Step& step) {
  constexpr int kParts = 4, kStretch = 256;
  Dual total = 0;
  for (int first = 0; first < pixels; first += kStretch) {
    const int end = first + kStretch < pixels ? first + kStretch : pixels;
    Dual part[kParts] = {0, 0, 0, 0};
    for (int p = first; p < end; p += kParts)
#pragma unroll
      for (int q = 0; q < kParts; ++q)
        if (p + q < end) part[q] = step(part[q], p + q);
    total = total + ((part[0] + part[1]) + (part[2] + part[3]));
  }
  return total;
}

struct PixelSum {
  int pixels, channels;
  Duals x;
  __device__ Dual operator()(int r, int c) const {
    return over_pixels(pixels, [&](Dual sum, int p) { return sum + get(x, r, p * channels + c); });
  }
};

struct Moments {
  Norm of;
  Duals x, out;
  int width;
  __device__ void operator()(int r, int c) const {
    const auto at = [&](int p) { return get(x, r, p * of.channels + c); };
    const Dual sum = over_pixels(of.pixels, [&](Dual s, int p) { return s + at(p); });
    const Dual center = sum / Dual(of.pixels);
    put(place(out, r, c), center);
    put(place(out, r, width + c), over_pixels(of.pixels, [&](Dual s, int p) {
          const Dual away = at(p) - center;
          return fma_(away, away, s);
        }));
  }
};

// Rows of samples that are normalised together.
struct Together {
  int first, end;
  __device__ Together(const Norm& of, int rows, int g) {
    const int size = of.group > 0 && of.group < rows ? of.group : rows;
    first = g * size;
    end = first + size < rows ? first + size : rows;
  }
};

__device__ __forceinline__ void write_statistics(const Duals& out, int g, int c, int width,
                                                 Dual mean, Dual variance, Dual weight,
                                                 double eps) {
  const Dual inverse = Dual(1) / sqrt_(variance + Dual(eps));
  put(place(out, g, c), mean);
  put(place(out, g, width + c), inverse);
  put(place(out, g, 2 * width + c), weight * inverse);
  put(place(out, g, 3 * width + c), variance);
}

// Means and squared distances of equal parts, put together (Chan, Golub and LeVeque 1983).
struct Statistics {
  Norm of;
  int rows, width;
  Duals moments, out;
  const DualNumber* weight;
  __device__ void operator()(int g, int c) const {
    const Together all(of, rows, g);
    const Dual count = all.end - all.first, pixels = of.pixels;
    Dual mean = 0, squares = 0;
    for (int r = all.first; r < all.end; ++r) mean += get(moments, r, c);
    mean /= count;
    for (int r = all.first; r < all.end; ++r) {
      const Dual away = get(moments, r, c) - mean;
      squares += get(moments, r, width + c) + pixels * away * away;
    }
    write_statistics(out, g, c, width, mean, squares / (count.v * pixels.v), get(weight + c),
                     of.eps);
  }
};
struct Frozen {
  double eps;
  int width;
  const DualNumber *weight, *mean, *variance;
  Duals out;
  __device__ void operator()(int g, int c) const {
    write_statistics(out, g, c, width, get(mean + c), get(variance + c), get(weight + c), eps);
  }
};

STEEP_HD int group_of(const Norm& of, int r) { return of.group > 0 ? r / of.group : 0; }

struct Normalized {
  Norm of;
  int width;
  Duals x, statistics, residual;
  const DualNumber* shift;
  bool relu;
  __device__ Dual operator()(int r, int c) const {
    const int k = c % of.channels, g = group_of(of, r);
    const Dual away = get(x, r, c) - get(statistics, g, k);
    Dual y = fma_(away, get(statistics, g, 2 * width + k), get(shift + k));
    if (residual.data) y = y + get(residual, r, c);
    return relu ? relu_(y) : y;
  }
};

struct SumsOfSample {
  Norm of;
  int width;
  Duals dy, x, statistics, out;
  __device__ void operator()(int r, int c) const {
    const int g = group_of(of, r);
    const Dual center = get(statistics, g, c), inverse = get(statistics, g, width + c);
    const auto up = [&](int p) { return get(dy, r, p * of.channels + c); };
    put(place(out, r, c), over_pixels(of.pixels, [&](Dual s, int p) { return s + up(p); }));
    const Dual products = over_pixels(of.pixels, [&](Dual s, int p) {
      return fma_(up(p), get(x, r, p * of.channels + c) - center, s);
    });
    put(place(out, r, width + c), products * inverse);
  }
};

struct Means {
  Norm of;
  int rows, width;
  Duals sums, statistics, out;
  __device__ void operator()(int g, int c) const {
    const Together all(of, rows, g);
    const Dual count = static_cast<double>(all.end - all.first) * static_cast<double>(of.pixels);
    Dual sum = 0, product = 0;
    for (int r = all.first; r < all.end; ++r) {
      sum += get(sums, r, c);
      product += get(sums, r, width + c);
    }
    put(place(out, g, c), sum / count);
    put(place(out, g, width + c), product / count * get(statistics, g, width + c));
  }
};

struct NormalizedGrad {
  Norm of;
  int width;
  Duals dy, x, statistics, means;
  __device__ Dual operator()(int r, int c) const {
    const int k = c % of.channels, g = group_of(of, r);
    const Dual scale = get(statistics, g, 2 * width + k);
    if (!means.data) return scale * get(dy, r, c);
    const Dual away = get(statistics, g, k) - get(x, r, c);
    return scale * fma_(away, get(means, g, width + k), get(dy, r, c) - get(means, g, k));
  }
};

int width_of(const Norm& of) { return static_cast<int>(padded(of.channels)); }
Place groups_of(const Place& at, const Norm& of) {
  Place groups = at;
  groups.rows =
      of.group > 0 && of.group < at.rows ? static_cast<int>(ceil_div(at.rows, of.group)) : 1;
  return groups;
}

}  // namespace

void sum_pixels(const Place& at, int pixels, int channels, const Duals& x, const Duals& out) {
  write_each(at, out, false, PixelSum{pixels, channels, x});
}

void moments(const Place& at, const Norm& of, const Duals& x, const Duals& out) {
  each(at, of.channels, Moments{of, x, out, width_of(of)});
}

void statistics(const Place& at, const Norm& of, const Duals& moments, const DualNumber* weight,
                const Duals& out) {
  each(groups_of(at, of), of.channels, Statistics{of, at.rows, width_of(of), moments, out, weight});
}

void frozen_statistics(const Place& at, const Norm& of, const DualNumber* weight,
                       const DualNumber* mean, const DualNumber* variance, const Duals& out) {
  Place one = at;
  one.rows = 1;
  each(one, of.channels, Frozen{of.eps, width_of(of), weight, mean, variance, out});
}

void normalize(const Place& at, const Norm& of, const Duals& x, const Duals& statistics,
               const DualNumber* shift, const Duals& residual, bool relu, const Duals& y) {
  write_each(at, y, false, Normalized{of, width_of(of), x, statistics, residual, shift, relu});
}

void normalize_sums(const Place& at, const Norm& of, const Duals& dy, const Duals& x,
                    const Duals& statistics, const Duals& out) {
  each(at, of.channels, SumsOfSample{of, width_of(of), dy, x, statistics, out});
}

void normalize_means(const Place& at, const Norm& of, const Duals& sums, const Duals& statistics,
                     const Duals& out) {
  each(groups_of(at, of), of.channels, Means{of, at.rows, width_of(of), sums, statistics, out});
}

void normalize_grad(const Place& at, const Norm& of, const Duals& dy, const Duals& x,
                    const Duals& statistics, const Duals& means, const Duals& dx, bool accumulate) {
  write_each(at, dx, accumulate, NormalizedGrad{of, width_of(of), dy, x, statistics, means});
}

}  // namespace steep::cuda
