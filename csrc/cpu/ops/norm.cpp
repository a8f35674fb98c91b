// The steps of batch normalisation and its gradient. Vectors over channels lie one after the other,
// each padded: a row of moments is (mean, squares), of sums (sum dy, sum dy*xhat); the statistics are
// (mean, 1/std, scale, variance), the gradients' means (mean dy, slope).
#include "ops/norm.h"

#include "cpu/ops/call.h"
#include "cpu/ops/channels.h"
#include "cpu/simd/lanes.h"

namespace steep::STEEP_ISA {
namespace {

constexpr int kInterleave = 4;  // partial sums, of every fourth pixel each: hides the latency of +
constexpr long kStretch = 256;  // pixels a partial sum covers: rounding grows with pixels/256 + 64

// total[k] = sum over pixels of what step(sums, p) adds to sums[k]. The order is the same for every
// channel, whatever the width of L.
template <int sums, class L, class Step>
STEEP_HD void sum_pixels(long pixels, L (&total)[sums], Step step) {
  for (int k = 0; k < sums; ++k) total[k] = L::all(0);
  for (long first = 0; first < pixels; first += kStretch) {
    const long end = first + kStretch < pixels ? first + kStretch : pixels;
    L part[kInterleave][sums];
    for (int q = 0; q < kInterleave; ++q)
      for (int k = 0; k < sums; ++k) part[q][k] = L::all(0);
    long p = first;
    for (; p + kInterleave <= end; p += kInterleave)
      for (int q = 0; q < kInterleave; ++q) step(part[q], p + q);
    for (int q = 0; q < kInterleave - 1; ++q)
      if (p + q < end) step(part[q], p + q);
    for (int k = 0; k < sums; ++k)
      total[k] = total[k] + ((part[0][k] + part[1][k]) + (part[2][k] + part[3][k]));
  }
}

// Registers of one partial sum: 16 of 32, or 8 of 16, hold them all.
template <class T, int sums>
constexpr int kSumWidth = Vec<T>::width * (sizeof(T) * Vec<T>::width == 64 ? 4 : 2) / sums;

template <class T>
void channel_moments(const T* x, long pixels, long channels, T* mean, T* squares) {
  over_channels<kSumWidth<T, 1>>(channels, [=](auto width, long c) {
    using L = Lanes<T, decltype(width)::value>;
    const T* const from = x + c;
    L sum[1];
    sum_pixels(pixels, sum,
               [=](L* sums, long p) { sums[0] = sums[0] + L::load(from + p * channels); });
    L center = L::all(T(pixels));
    for (int i = 0; i < L::parts; ++i) center.part[i] = sum[0].part[i] / center.part[i];
    sum_pixels(pixels, sum, [=](L* sums, long p) {
      const L away = L::load(from + p * channels) - center;
      sums[0] = fma_(away, away, sums[0]);
    });
    center.store(mean + c);
    sum[0].store(squares + c);
  });
}

template <class T>
void channel_sums(const T* dy, const T* x, const T* mean, long pixels, long channels, T* sum,
                  T* product) {
  if (!x) {
    over_channels<kSumWidth<T, 1>>(channels, [=](auto width, long c) {
      using L = Lanes<T, decltype(width)::value>;
      L total[1];
      sum_pixels(pixels, total, [=, from = dy + c](L* sums, long p) {
        sums[0] = sums[0] + L::load(from + p * channels);
      });
      total[0].store(sum + c);
    });
    return;
  }
  over_channels<kSumWidth<T, 2>>(channels, [=](auto width, long c) {
    using L = Lanes<T, decltype(width)::value>;
    const L center = L::load(mean + c);
    const T *const up = dy + c, *const in = x + c;
    L total[2];
    sum_pixels(pixels, total, [=](L* sums, long p) {
      const L g = L::load(up + p * channels);
      sums[0] = sums[0] + g;
      sums[1] = fma_(g, L::load(in + p * channels) - center, sums[1]);
    });
    total[0].store(sum + c);
    total[1].store(product + c);
  });
}

template <class T>
void normalize(const T* x, const T* mean, const T* scale, const T* shift, const T* residual,
               bool relu, long pixels, long channels, T* y) {
  const Periodic<T, 3> vectors({mean, scale, shift}, pixels, channels);
  const T *const m = vectors.of[0], *const s = vectors.of[1], *const t = vectors.of[2];
  const auto normal = [=](long at, long k) { return fma_(x[at] - m[k], s[k], t[k]); };
  const auto added = [=](long at, long k) { return normal(at, k) + residual[at]; };
  const long size = pixels * channels, period = vectors.period;
  if (residual && relu)
    each_element(y, size, period, [=](long at, long k) { return relu_(added(at, k)); });
  else if (residual)
    each_element(y, size, period, added);
  else if (relu)
    each_element(y, size, period, [=](long at, long k) { return relu_(normal(at, k)); });
  else
    each_element(y, size, period, normal);
}

template <class T>
void normalize_grad(const T* dy, const T* x, const T* mean, const T* scale, const T* dy_mean,
                    const T* slope, long pixels, long channels, T* dx, bool accumulate) {
  const Periodic<T, 4> vectors({mean, scale, dy_mean, slope}, pixels, channels);
  const T *const m = vectors.of[0], *const s = vectors.of[1];
  const T *const g = vectors.of[2], *const b = vectors.of[3];
  const auto value = [=](long at, long k) {
    return s[k] * fma_(m[k] - x[at], b[k], dy[at] - g[k]);
  };
  const long size = pixels * channels, period = vectors.period;
  if (accumulate)
    each_element(dx, size, period, [=](long at, long k) { return dx[at] + value(at, k); });
  else
    each_element(dx, size, period, value);
}

// The same where statistics are no functions of x.
template <class T>
void scale_grad(const T* dy, const T* scale, long pixels, long channels, T* dx, bool accumulate) {
  const Periodic<T, 1> vectors({scale}, pixels, channels);
  const T* const s = vectors.of[0];
  const long size = pixels * channels, period = vectors.period;
  if (accumulate)
    each_element(dx, size, period, [=](long at, long k) { return dx[at] + s[k] * dy[at]; });
  else
    each_element(dx, size, period, [=](long at, long k) { return s[k] * dy[at]; });
}

// Calls f(c) for the channels of units [lo, hi).
template <class F> STEEP_HD void over_units(const ops::Normalizing& op, long lo, long hi, F f) {
  const long end = hi * kLane < op.channels ? hi * kLane : op.channels;
  for (long c = lo * kLane; c < end; ++c) f(c);
}

// Calls f(g, first, end) for the groups of samples that are normalised together.
template <class F> STEEP_HD void over_groups(const ops::Normalizing& op, long rows, F f) {
  const long size = op.group > 0 && op.group < rows ? op.group : rows;
  for (long g = 0; g * size < rows; ++g)
    f(g, g * size, (g + 1) * size < rows ? (g + 1) * size : rows);
}
STEEP_HD long group_of(const ops::Normalizing& op, long row) {
  return op.group > 0 ? row / op.group : 0;
}

template <class T>
STEEP_HD void write_statistics(const ops::Normalizing& op, const Work<T>& w, long g, long c,
                               Wide<T> mean, Wide<T> variance) {
  const long n = padded(op.channels);
  const Wide<T> inverse = 1 / sqrt_(variance + op.eps);
  T* const out = w.out.at(g) + c;
  out[0] = T(mean);
  out[n] = T(inverse);
  out[2 * n] = T(Wide<T>(w.parameters[0][c]) * inverse);
  out[3 * n] = T(variance);
}

}  // namespace

template <class T>
void run(const ops::BatchMoments& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const long n = padded(op.channels);
  for (long r = lo; r < hi; ++r)
    channel_moments(w.in[0].at(r), op.pixels, op.channels, w.out.at(r), w.out.at(r) + n);
}
STEEP_CALL(BatchMoments)

// Means and squared distances of equal parts, put together (Chan, Golub and LeVeque 1983).
template <class T>
void run(const ops::BatchStatistics& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const long n = padded(op.channels);
  const double pixels = double(op.pixels);
  over_groups(op, s.rows, [&](long g, long first, long end) {
    const double rows = double(end - first);
    over_units(op, lo, hi, [&](long c) {
      Wide<T> mean = 0, squares = 0;
      for (long r = first; r < end; ++r) mean += Wide<T>(w.in[0].at(r)[c]);
      mean /= rows;
      for (long r = first; r < end; ++r) {
        const Wide<T> away = Wide<T>(w.in[0].at(r)[c]) - mean;
        squares += Wide<T>(w.in[0].at(r)[n + c]) + pixels * away * away;
      }
      write_statistics<T>(op, w, g, c, mean, squares / (rows * pixels));
    });
  });
}
STEEP_CALL(BatchStatistics)

template <class T>
void run(const ops::FrozenStatistics& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  over_units(op, lo, hi, [&](long c) {
    write_statistics<T>(op, w, 0, c, w.parameters[1][c], w.parameters[2][c]);
  });
}
STEEP_CALL(FrozenStatistics)

template <class T>
void run(const ops::BatchNorm& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  for (long r = lo; r < hi; ++r) {
    const T* const statistics = w.in[1].at(group_of(op, r));
    normalize(w.in[0].at(r), statistics, statistics + 2 * padded(op.channels), w.parameters[1],
              w.in[2].data ? w.in[2].at(r) : nullptr, op.f.any(), op.pixels, op.channels,
              w.out.at(r));
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(BatchNorm)

template <class T>
void run(const ops::BatchNormSums& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const long n = padded(op.channels);
  for (long r = lo; r < hi; ++r) {
    const T* const statistics = w.in[2].at(group_of(op, r));
    T* const to = w.out.at(r);
    channel_sums(w.in[0].at(r), w.in[1].at(r), statistics, op.pixels, op.channels, to, to + n);
    for (long c = 0; c < op.channels; ++c) to[n + c] *= statistics[n + c];
    for (long c = op.channels; c < n; ++c) to[c] = to[n + c] = T(0);
  }
}
STEEP_CALL(BatchNormSums)

template <class T>
void run(const ops::BatchNormGradients& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const long n = padded(op.channels);
  over_groups(op, s.rows, [&](long g, long first, long end) {
    const double count = double(end - first) * double(op.pixels);
    over_units(op, lo, hi, [&](long c) {
      Wide<T> sum = 0, product = 0;
      for (long r = first; r < end; ++r) {
        sum += Wide<T>(w.in[0].at(r)[c]);
        product += Wide<T>(w.in[0].at(r)[n + c]);
      }
      T* const out = w.out.at(g) + c;
      out[0] = T(sum / count);
      out[n] = T(product / count * Wide<T>(w.in[1].at(g)[n + c]));
    });
  });
}
STEEP_CALL(BatchNormGradients)

template <class T>
void run(const ops::BatchNormGrad& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const long n = padded(op.channels);
  for (long r = lo; r < hi; ++r) {
    const T* const statistics = w.in[2].at(group_of(op, r));
    if (op.by_running) {
      scale_grad(w.in[0].at(r), statistics + 2 * n, op.pixels, op.channels, w.out.at(r),
                 w.accumulate);
      continue;
    }
    const T* const means = w.in[3].at(group_of(op, r));
    normalize_grad(w.in[0].at(r), w.in[1].at(r), statistics, statistics + 2 * n, means, means + n,
                   op.pixels, op.channels, w.out.at(r), w.accumulate);
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(BatchNormGrad)

template <class T>
void run(const ops::SumPixels& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  for (long r = lo; r < hi; ++r)
    channel_sums<T>(w.in[0].at(r), nullptr, nullptr, op.pixels, op.channels, w.out.at(r), nullptr);
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(SumPixels)

}  // namespace steep::STEEP_ISA
