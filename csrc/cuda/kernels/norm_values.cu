// What batch normalisation makes of its statistics: values, gradients, running statistics.
#include "cuda/kernels/each.cuh"
#include "cuda/kernels/norm.cuh"

namespace steep::cuda {

namespace {

struct Frozen {
  Norm n;
  const float *scale, *mean, *variance;
  View out;
  STEEP_HD void operator()(int, int c) const {
    const long width = padded(n.channels);
    if (c >= n.channels) return clear(out.data + c, width);
    write_statistics(out.data + c, width, n.eps, scale[c], static_cast<double>(mean[c]),
                     static_cast<double>(variance[c]));
  }
};

// May these be read four channels at once?
template <class... Views>
bool all_aligned(const Norm& n, const float* row, const Views&... views) {
  return n.channels % 4 == 0 && aligned(row, 0) && (aligned(views) && ...);
}
STEEP_HD Four four_of(const float* p) { return *reinterpret_cast<const Four*>(p); }
template <class By> STEEP_HD Four four_of(const View& x, int r, int c) {
  return By::four(x, r * x.ld + c);
}
template <class By> struct Normalized {
  Norm n;
  View x, statistics, residual;
  const float* shift;
  bool relu;
  Divisor by_channels;
  bool whole() const { return all_aligned(n, shift, x, statistics, residual); }
  STEEP_HD Four four(int r, int c) const {
    const int k = by_channels.of(c).rest;
    const float* const of = row_of(n, statistics, r) + k;
    const Four in = four_of<By>(x, r, c), mean = four_of(of),
               scale = four_of(of + 2 * padded(n.channels)), moved = four_of(shift + k),
               with = residual.data ? four_of<By>(residual, r, c) : Four{};
    Four y;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float own = fma_(in.of[i] - mean.of[i], scale.of[i], moved.of[i]);
      const float sum = residual.data ? own + with.of[i] : own;
      y.of[i] = relu ? relu_(sum) : sum;
    }
    return y;
  }
  STEEP_HD float operator()(int r, int c) const {
    const int k = c % n.channels;
    const float* const of = row_of(n, statistics, r) + k;
    const float y = fma_(at<By>(x, r, c) - of[0], of[2 * padded(n.channels)], shift[k]);
    const float sum = residual.data ? y + at<By>(residual, r, c) : y;
    return relu ? relu_(sum) : sum;
  }
};
template <class By> struct NormalizedGrad {
  Norm n;
  View dy, x, statistics, means;
  Divisor by_channels;
  bool whole() const { return all_aligned(n, nullptr, dy, x, statistics, means); }
  STEEP_HD Four four(int r, int c) const {
    const int k = by_channels.of(c).rest;
    const long width = padded(n.channels);
    const float *const of = row_of(n, statistics, r) + k, *const by = row_of(n, means, r) + k;
    const Four up = four_of<By>(dy, r, c), scale = four_of(of + 2 * width), mean = four_of(of);
    Four y;
    if (!means.data) {
#pragma unroll
      for (int i = 0; i < 4; ++i) y.of[i] = scale.of[i] * up.of[i];
      return y;
    }
    const Four in = four_of<By>(x, r, c), slope = four_of(by + width), center = four_of(by);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      y.of[i] = scale.of[i] * fma_(mean.of[i] - in.of[i], slope.of[i], up.of[i] - center.of[i]);
    }
    return y;
  }
  STEEP_HD float operator()(int r, int c) const {
    const int k = c % n.channels;
    const long width = padded(n.channels);
    const float* const of = row_of(n, statistics, r) + k;
    const float scale = of[2 * width], g = at<By>(dy, r, c);
    if (!means.data) return scale * g;
    const float* const by = row_of(n, means, r) + k;
    return scale * fma_(of[0] - at<By>(x, r, c), by[width], g - by[0]);
  }
};

// What running statistics become: moved by one group after the other.
struct Followed { float mean, variance; };
STEEP_HD Followed followed(const Running& r, const View& statistics, int rows, int c) {
  const int size = r.norm.group > 0 && r.norm.group < rows ? r.norm.group : rows;
  const long width = padded(r.norm.channels);
  double mean = static_cast<double>(r.mean[c]), variance = static_cast<double>(r.variance[c]);
  for (int g = 0; g * size < rows; ++g) {
    const int left = rows - g * size;
    const double n =
        static_cast<double>(static_cast<long>(left < size ? left : size) * r.norm.pixels);
    const double scale = r.unbiased && n > 1 ? n / (n - 1) : 1.0;
    const float* const of = statistics.data + g * statistics.ld + c;
    mean = r.momentum * mean + (1 - r.momentum) * static_cast<double>(of[0]);
    variance =
        r.momentum * variance + (1 - r.momentum) * (scale * static_cast<double>(of[3 * width]));
  }
  return {static_cast<float>(mean), static_cast<float>(variance)};
}
struct Check {
  Now now;
  Running r;
  View statistics;
  int rows;
  __device__ __forceinline__ void operator()(int, int c) const {
    const Followed next = followed(r, statistics, rows, c);
    if (is_finite(next.mean) && is_finite(next.variance)) return;
    if (!stopped(now, false)) note_bad(now);
  }
};
struct Follow {
  Now now;
  Running r;
  View statistics;
  int rows;
  __device__ __forceinline__ void operator()(int, int c) const {
    if (stopped(now, true)) return;
    const Followed next = followed(r, statistics, rows, c);
    r.mean[c] = next.mean;
    r.variance[c] = next.variance;
  }
};

Place one_row(Place at) {
  at.rows = 1;
  return at;
}

}  // namespace

void frozen_statistics(const Place& at, const Norm& n, const float* scale, const float* mean,
                       const float* variance, const View& out) {
  each(one_row(at), static_cast<int>(padded(n.channels)), Frozen{n, scale, mean, variance, out});
}

void normalize(const Place& at, const Norm& n, const View& x, const View& statistics,
               const float* shift, const View& residual, bool relu, const View& y) {
  with_storage(
      [&]<class By>(By) {
        write_fours<By>(
            at, y, false,
            Normalized<By>{n, x, statistics, residual, shift, relu, Divisor(n.channels)});
      },
      x, residual, y);
}

void norm_grad(const Place& at, const Norm& n, const View& dy, const View& x,
               const View& statistics, const View& means, const View& dx, bool accumulate) {
  with_storage(
      [&]<class By>(By) {
        write_fours<By>(at, dx, accumulate,
                        NormalizedGrad<By>{n, dy, x, statistics, means, Divisor(n.channels)});
      },
      dy, x, dx);
}

void check_running(const Place& at, const Running& r, const View& statistics) {
  each(one_row(at), r.norm.channels, Check{at.now, r, statistics, at.rows});
}

void follow(const Place& at, const Running& r, const View& statistics) {
  each(one_row(at), r.norm.channels, Follow{at.now, r, statistics, at.rows});
}

}  // namespace steep::cuda
