// Sums over the pixels of one image and the normalisation they serve, channel by channel. Response
// normalisation, over neighbouring channels, is in lrn.cpp.
#include "cpu/kernels/fill.h"
#include "cpu/simd/lanes.h"

namespace steep::STEEP_ISA {
namespace {

constexpr int kInterleave = 4;   // partial sums, of every fourth pixel each: hides the latency of +
constexpr long kStretch = 256;   // pixels a partial sum covers: rounding grows with pixels/256 + 64
constexpr long kMaxRepeat = 64;  // channels up to which vectors are repeated
constexpr long kMinPeriod = 256;  // of repeated vectors, in elements

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

// Vectors over channels as the elementwise loops read them: with few channels repeated, so that a
// loop over neighbouring elements runs long and its length is a multiple of kLane.
template <class T, int count> struct Periodic {
  const T* of[count];
  long period;
  T repeated[count][kMaxRepeat * kLane];

  Periodic(const T* const (&vectors)[count], long pixels, long channels) : period(channels) {
    for (int v = 0; v < count; ++v) of[v] = vectors[v];
    if (channels > kMaxRepeat || pixels < kLane) return;
    while (period % kLane || period < kMinPeriod) period += channels;
    for (int v = 0; v < count; ++v) {
      for (long at = 0; at < period; at += channels)
        for (long c = 0; c < channels; ++c) repeated[v][at + c] = vectors[v][c];
      of[v] = repeated[v];
    }
  }
};

// y(p, c) = value(element, c) over all elements of an image
template <class T, class Value>
STEEP_HD void each_element(T* y, long size, long period, Value value) {
  for (long first = 0; first < size; first += period) {
    const long n = size - first < period ? size - first : period;
#pragma GCC ivdep
    for (long k = 0; k < n; ++k) y[first + k] = value(first + k, k);
  }
}

template <class T>
void normalize(const T* x, const T* mean, const T* scale, const T* shift, const T* residual,
               bool relu, long pixels, long channels, T* y) {
  const Periodic<T, 3> vectors({mean, scale, shift}, pixels, channels);
  const T *const m = vectors.of[0], *const s = vectors.of[1], *const t = vectors.of[2];
  const auto plain = [=](long at, long k) { return fma_(x[at] - m[k], s[k], t[k]); };
  const auto added = [=](long at, long k) { return plain(at, k) + residual[at]; };
  const auto positive = [](T v) { return v < T(0) ? T(0) : v; };  // keeps NaN
  const long size = pixels * channels, period = vectors.period;
  if (residual && relu)
    each_element(y, size, period, [=](long at, long k) { return positive(added(at, k)); });
  else if (residual)
    each_element(y, size, period, added);
  else if (relu)
    each_element(y, size, period, [=](long at, long k) { return positive(plain(at, k)); });
  else
    each_element(y, size, period, plain);
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

}  // namespace

template <class T> void fill_norms(Kernels<T>& table) {
  table.channel_moments = channel_moments<T>;
  table.channel_sums = channel_sums<T>;
  table.normalize = normalize<T>;
  table.normalize_grad = normalize_grad<T>;
}

STEEP_FILL(fill_norms)

}  // namespace steep::STEEP_ISA
