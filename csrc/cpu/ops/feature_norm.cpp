// Normalisation of samples by themselves, and its gradient: a row of channels at a time, or channels side
// by side over all positions. Batch normalisation is in norm.cpp.
#include "ops/feature_norm.h"

#include "cpu/kernels/each.h"
#include "cpu/ops/call.h"

namespace steep::STEEP_ISA {
namespace {

// Sums of value(c) over [0, n), in kLane lanes and then a tree.
template <class T, class Value>
STEEP_HD T sum_over(long n, Value value) {
  const long whole = n / kLane * kLane;
  T lane[kLane] = {};
  for (long c = 0; c < whole; c += kLane)
    for (long j = 0; j < kLane; ++j) lane[j] += value(c + j);
  for (long c = whole; c < n; ++c) lane[c - whole] += value(c);
  return sum_lanes(lane);
}

// Sums of value(p, c) over positions [0, n), for kLane channels from c on, or the `left` that there are:
// 64 positions at a time, so that rounding grows with n/64 + 64.
template <class T, class Value>
STEEP_HD void sum_down(long n, long c, long left, T* out, Value value) {
  const long width = left < kLane ? left : kLane;
  T total[kLane] = {};
  for (long first = 0; first < n; first += 64) {
    const long end = first + 64 < n ? first + 64 : n;
    T part[kLane] = {};
    if (width == kLane) {
      for (long p = first; p < end; ++p)
        for (long j = 0; j < kLane; ++j) part[j] += value(p, c + j);
    } else {
      for (long p = first; p < end; ++p)
        for (long j = 0; j < width; ++j) part[j] += value(p, c + j);
    }
    for (long j = 0; j < kLane; ++j) total[j] += part[j];
  }
  for (long j = 0; j < kLane; ++j) out[j] = total[j];
}

// The mean of value(p, c) over each piece of a sample.
template <class T, class Value>
STEEP_HD void mean_of_pieces(const ops::Featuring& op, T* out, Value value) {
  const long run = op.run();
  T sums[kLane];
  Wide<T> piece = 0;
  for (long c = 0; c < op.channels; c += kLane) {
    const long left = op.channels - c;
    sum_down(op.pixels, c, left, sums, value);
    for (long j = 0; j < kLane && j < left; ++j) {
      piece += Wide<T>(sums[j]);
      if ((c + j + 1) % run != 0) continue;
      out[(c + j) / run] = T(piece / Wide<T>(op.count()));
      piece = 0;
    }
  }
}

template <class T>
STEEP_HD T inverse_root(T variance, double eps) {
  return T(1) / sqrt_(variance + T(eps));
}

template <class T>
STEEP_HD void moments_by_position(const ops::Featuring& op, const T* x, T* mean, T* scale) {
  const long n = op.channels;
  const T count = T(double(n));
  for (long p = 0; p < op.outer; ++p, x += n) {
    const T m = op.centred ? sum_over<T>(n, [=](long c) { return x[c]; }) / count : T(0);
    const T square = sum_over<T>(n, [=](long c) {
      const T d = x[c] - m;
      return d * d;
    });
    mean[p] = m;
    scale[p] = inverse_root(square / count, op.eps);
  }
}

template <class T>
STEEP_HD void moments_of_pieces(const ops::Featuring& op, const T* x, T* mean, T* scale) {
  const long n = op.channels, run = op.run();
  if (op.centred) {
    mean_of_pieces(op, mean, [=](long p, long c) { return x[p * n + c]; });
  } else {
    for (long i = 0; i < op.parts; ++i) mean[i] = T(0);
  }
  mean_of_pieces(op, scale, [=](long p, long c) {
    const T d = x[p * n + c] - mean[c / run];
    return d * d;
  });
  for (long i = 0; i < op.parts; ++i) scale[i] = inverse_root(scale[i], op.eps);
}

// y(p, c) (+)= value(p, c, mean, 1/std) over all of a sample.
template <class T, class Value>
STEEP_HD void each_normal_place(const ops::Featuring& op, const T* moments, T* y, bool accumulate,
                                Value value) {
  const long n = op.channels, run = op.run();
  const T *const mean = moments, *const scale = moments + op.pieces();
  for (long o = 0; o < op.outer; ++o) {
    for (long p = 0; p < op.pixels; ++p, y += n) {
      const long row = o * op.pixels + p;
      if (op.parts == 1) {
        const T m = mean[o], s = scale[o];
        each(y, 0, 1, n, accumulate, [=](long, long c) { return value(row, c, 0, m, s); });
      } else {
        each(y, 0, 1, n, accumulate, [=](long, long c) {
          const long piece = c / run;
          return value(row, c, piece, mean[piece], scale[piece]);
        });
      }
    }
  }
}

}  // namespace

template <class T>
void run(const ops::FeatureMoments& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  for (long r = lo; r < hi; ++r) {
    T *const mean = w.out.at(r), *const scale = mean + op.pieces();
    op.by_position() ? moments_by_position(op, w.in[0].at(r), mean, scale)
                     : moments_of_pieces(op, w.in[0].at(r), mean, scale);
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(FeatureMoments)

template <class T>
void run(const ops::FeatureNorm& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const long n = op.channels;
  const T *const weight = w.parameters[0], *const bias = w.parameters[1];
  for (long r = lo; r < hi; ++r) {
    const T* const x = w.in[0].at(r);
    const auto normal = [=](long row, long c, T m, T s) { return (x[row * n + c] - m) * s; };
    if (weight && bias)
      each_normal_place(op, w.in[1].at(r), w.out.at(r), false,
                        [=](long row, long c, long, T m, T s) {
                          return fma_(normal(row, c, m, s), weight[c], bias[c]);
                        });
    else if (weight)
      each_normal_place(
          op, w.in[1].at(r), w.out.at(r), false,
          [=](long row, long c, long, T m, T s) { return normal(row, c, m, s) * weight[c]; });
    else
      each_normal_place(op, w.in[1].at(r), w.out.at(r), false,
                        [=](long row, long c, long, T m, T s) { return normal(row, c, m, s); });
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(FeatureNorm)

template <class T>
void run(const ops::FeatureNormSums& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const long n = op.channels, run = op.run(), rows = op.outer * op.pixels;
  const bool each_row = op.by_position();
  for (long r = lo; r < hi; ++r) {
    const T *const dy = w.in[0].at(r), *const x = w.in[1].at(r), *const mean = w.in[2].at(r);
    const T* const scale = mean + op.pieces();
    T *const out = w.out.at(r), *const products = out + padded(n);
    for (long c = 0; c < n; c += kLane) {
      sum_down(rows, c, n - c, out + c, [=](long p, long k) { return dy[p * n + k]; });
      if (each_row)
        sum_down(rows, c, n - c, products + c, [=](long p, long k) {
          return dy[p * n + k] * ((x[p * n + k] - mean[p]) * scale[p]);
        });
      else
        sum_down(rows, c, n - c, products + c, [=](long p, long k) {
          return dy[p * n + k] * ((x[p * n + k] - mean[k / run]) * scale[k / run]);
        });
    }
  }
}
STEEP_CALL(FeatureNormSums)

// dx = (g - mean(g) - xhat*mean(g*xhat))/std for g = dy*weight; without a mean taken away, without mean(g).
template <class T>
void run(const ops::FeatureNormGrad& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const long n = op.channels, run = op.run();
  const T* const weight = w.parameters[0];
  const T count = T(op.count());
  const bool centred = op.centred;
  const auto gain = [=](long c) { return weight ? weight[c] : T(1); };
  for (long r = lo; r < hi; ++r) {
    const T *const dy = w.in[0].at(r), *const x = w.in[1].at(r), *const mean = w.in[2].at(r);
    const T* const scale = mean + op.pieces();
    T* const out = w.out.at(r);
    if (op.by_position()) {
      for (long p = 0; p < op.outer; ++p) {
        const T *const up = dy + p * n, *const in = x + p * n;
        const T m = mean[p], s = scale[p];
        const T a =
            centred ? sum_over<T>(n, [=](long c) { return up[c] * gain(c); }) / count : T(0);
        const T b =
            sum_over<T>(n, [=](long c) { return up[c] * gain(c) * ((in[c] - m) * s); }) / count;
        each(out + p * n, 0, 1, n, w.accumulate,
             [=](long, long c) { return s * (up[c] * gain(c) - a - (in[c] - m) * s * b); });
      }
      continue;
    }
    const T *const sums = w.in[3].at(r), *const products = sums + padded(n);
    for (long i = 0; i < op.parts; ++i) {
      Wide<T> first = 0, second = 0;
      for (long c = i * run; c < (i + 1) * run; ++c) {
        first += Wide<T>(sums[c] * gain(c));
        second += Wide<T>(products[c] * gain(c));
      }
      const T a = centred ? T(first / Wide<T>(op.count())) : T(0);
      const T b = T(second / Wide<T>(op.count())), m = mean[i], s = scale[i];
      for (long p = 0; p < op.pixels; ++p) {
        const T *const up = dy + p * n, *const in = x + p * n;
        T* const to = out + p * n + i * run;
        each(to, 0, 1, run, w.accumulate, [=](long, long k) {
          const long c = i * run + k;
          return s * (up[c] * gain(c) - a - (in[c] - m) * s * b);
        });
      }
    }
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(FeatureNormGrad)

}  // namespace steep::STEEP_ISA
