// The argument struct and the body of every call on images, normalisation included.
#pragma once
#include "cpu/calls.h"
#include "cpu/conv/conv.h"

namespace steep::calls {

template <class T> struct ConvPack {
  std::shared_ptr<const Conv<T>> conv;
  bool transposed;
  const T* weight;
  T* out;
  static void run(const ConvPack& a, const Step<T>& s, long lo, long hi) {
    a.conv->pack(a.transposed, a.weight, a.out, lo, hi, s.scratch);
  }
};

template <class T> struct Convolve {
  const Kernels<T>* k;
  std::shared_ptr<const Conv<T>> conv;  // null for a depthwise one
  Window window;
  Rows<T> x, z, y;  // z is y unless f' needs it
  const T *weight, *bias;
  int activation;
  bool relu;
  T alpha;
  static void run(const Convolve& a, const Step<T>& s, long lo, long hi) {
    if (a.conv) {
      a.conv->forward(a.x.at(lo), a.x.ld, a.weight, a.bias, a.relu, a.z.at(lo), a.z.ld, hi - lo,
                      s.scratch);
    } else {
      for (long r = lo; r < hi; ++r) {
        a.k->depthwise(a.window, a.x.at(r), a.weight, a.bias, a.z.at(r));
      }
    }
    if (a.activation >= 0 && !(a.relu && a.conv)) {
      a.k->activate[a.activation](a.z.at(lo), a.z.ld, a.y.at(lo), a.y.ld, hi - lo, a.y.width(),
                                  a.alpha);
    }
    clear_padding(a.y, lo, hi);  // which the kernels above leave alone
    if (a.z.data != a.y.data) clear_padding(a.z, lo, hi);
  }
};

template <class T> struct ConvGrad {
  const Kernels<T>* k;
  std::shared_ptr<const Conv<T>> conv;
  Window window;
  Rows<T> dz, dx;
  const T* weight;  // packed, or of a depthwise one as stored
  bool accumulate;
  int activation;  // fused f', or -1
  Rows<T> stored;
  T alpha;
  static void run(const ConvGrad& a, const Step<T>& s, long lo, long hi) {
    if (a.conv) {
      a.conv->data(a.dz.at(lo), a.dz.ld, a.weight, a.dx.at(lo), a.dx.ld, hi - lo, a.accumulate,
                   s.scratch);
    } else {
      for (long r = lo; r < hi; ++r) {
        a.k->depthwise_grad(a.window, a.dz.at(r), a.weight, a.dx.at(r), a.accumulate);
      }
    }
    if (a.activation >= 0) {
      a.k->activate_grad[a.activation](a.dx.at(lo), a.dx.ld, a.stored.at(lo), a.stored.ld,
                                       a.dx.at(lo), a.dx.ld, hi - lo, a.dx.width(), a.alpha, false);
    }
    clear_padding(a.dx, lo, hi);
  }
};

// Units are panels of W for each group of samples in turn.
template <class T> struct ConvGradWeight {
  const Kernels<T>* k;
  std::shared_ptr<const Conv<T>> conv;
  Window window;
  Rows<T> x, dz, dw;  // dw: a row for each group of samples
  long samples;       // of a group
  static void run(const ConvGradWeight& a, const Step<T>& s, long lo, long hi) {
    const long panels = a.conv ? a.conv->weight_units() : 1;
    for (long unit = lo; unit < hi; ++unit) {
      const long group = unit / panels, first = group * a.samples;
      const long images = std::min(a.samples, s.rows - first);
      if (images <= 0) continue;
      if (a.conv) {
        a.conv->weights(unit % panels, a.x.at(first), a.x.ld, a.dz.at(first), a.dz.ld,
                        a.dw.at(group), images, false, s.scratch);
        continue;
      }
      for (long r = first; r < first + images; ++r) {
        a.k->depthwise_grad_weight(a.window, a.x.at(r), a.dz.at(r), a.dw.at(group), r > first);
      }
    }
  }
};

template <class T> struct SumPixels {
  const Kernels<T>* k;
  Rows<T> x, y;
  long pixels, channels;
  static void run(const SumPixels& a, const Step<T>&, long lo, long hi) {
    for (long r = lo; r < hi; ++r) {
      a.k->channel_sums(a.x.at(r), nullptr, nullptr, a.pixels, a.channels, a.y.at(r), nullptr);
      std::fill_n(a.y.at(r) + a.channels, padded(a.channels) - a.channels, T(0));
    }
  }
};

template <class T> struct Pool {  // MaxPool, AvgPool
  const Kernels<T>* k;
  bool largest, count_padding;
  Window window;
  Rows<T> x, y;
  static void run(const Pool& a, const Step<T>&, long lo, long hi) {
    for (long r = lo; r < hi; ++r) {
      if (a.largest) {
        a.k->max_pool(a.window, a.x.at(r), a.y.at(r));
      } else {
        a.k->avg_pool(a.window, a.count_padding, a.x.at(r), a.y.at(r));
      }
    }
    clear_padding(a.y, lo, hi);
  }
};

template <class T> struct PoolGrad {
  const Kernels<T>* k;
  bool largest, count_padding;
  Window window;
  Rows<T> x, y, dy, dx;
  bool accumulate;
  static void run(const PoolGrad& a, const Step<T>&, long lo, long hi) {
    for (long r = lo; r < hi; ++r) {
      if (a.largest) {
        a.k->max_pool_grad(a.window, a.x.at(r), a.y.at(r), a.dy.at(r), a.dx.at(r), a.accumulate);
      } else {
        a.k->avg_pool_grad(a.window, a.count_padding, a.dy.at(r), a.dx.at(r), a.accumulate);
      }
    }
    clear_padding(a.dx, lo, hi);
  }
};

template <class T> struct LocalNorm {
  const Kernels<T>* k;
  long pixels, channels, size;
  T alpha, beta, bias;
  Rows<T> x, dy, out;  // dy: of the gradient
  bool accumulate;
  static void run(const LocalNorm& a, const Step<T>&, long lo, long hi) {
    for (long r = lo; r < hi; ++r) {
      if (a.dy.data == nullptr) {
        a.k->lrn(a.x.at(r), a.pixels, a.channels, a.size, a.alpha, a.beta, a.bias, a.out.at(r));
      } else {
        a.k->lrn_grad(a.x.at(r), a.dy.at(r), a.pixels, a.channels, a.size, a.alpha, a.beta, a.bias,
                      a.out.at(r), a.accumulate);
      }
    }
    clear_padding(a.out, lo, hi);
  }
};

// An image inside a larger one: Pad copies it there, Crop out of there.
template <class T> struct Inset {
  Rows<T> from, to;
  bool pad, accumulate;
  long small[3], large[3], before[3];
  static void run(const Inset& a, const Step<T>&, long lo, long hi) {
    const long row = a.small[1] * a.small[2], large_row = a.large[1] * a.large[2];
    for (long r = lo; r < hi; ++r) {
      const T* from = a.from.at(r);
      T* to = a.to.at(r);
      if (a.pad) std::fill_n(to, a.to.width(), T(0));
      for (long i = 0; i < a.small[0]; ++i) {
        for (long j = 0; j < a.small[1]; ++j) {
          const long in = i * row + j * a.small[2];
          const long out =
              (i + a.before[0]) * large_row + (j + a.before[1]) * a.large[2] + a.before[2];
          if (a.pad) {
            std::copy_n(from + in, a.small[2], to + out);
          } else {
            for (long c = 0; c < a.small[2]; ++c) {
              to[in + c] = a.accumulate ? to[in + c] + from[out + c] : from[out + c];
            }
          }
        }
      }
    }
    clear_padding(a.to, lo, hi);
  }
};

// Vectors over channels lie one after the other, each padded: a row of `moments` is (mean, squares),
// of `sums` (sum dy, sum dy*xhat); the statistics are (mean, 1/std, scale, variance), the gradients'
// means (mean dy, slope).
template <class T> struct BatchNorm {
  const Kernels<T>* k;
  long pixels, channels;
  Rows<T> x, y, residual;
  const T *statistics, *shift;
  bool relu;
  static void run(const BatchNorm& a, const Step<T>&, long lo, long hi) {
    const long n = padded(a.channels);
    for (long r = lo; r < hi; ++r) {
      a.k->normalize(a.x.at(r), a.statistics, a.statistics + 2 * n, a.shift,
                     a.residual.data ? a.residual.at(r) : nullptr, a.relu, a.pixels, a.channels,
                     a.y.at(r));
    }
    clear_padding(a.y, lo, hi);
  }
};

template <class T> struct BatchMoments {
  const Kernels<T>* k;
  long pixels, channels;
  Rows<T> x, moments;
  static void run(const BatchMoments& a, const Step<T>&, long lo, long hi) {
    for (long r = lo; r < hi; ++r) {
      T* const to = a.moments.at(r);
      a.k->channel_moments(a.x.at(r), a.pixels, a.channels, to, to + padded(a.channels));
    }
  }
};

constexpr long kChannelUnit = kLane;  // channels of one unit of the calls below

// Means and squared distances of equal parts, put together (Chan, Golub and LeVeque 1983).
template <class T> struct BatchStatistics {
  long pixels, channels;
  double eps;
  Rows<T> moments;
  const T* weight;
  T* out;
  static void run(const BatchStatistics& a, const Step<T>& s, long lo, long hi) {
    const long n = padded(a.channels), rows = s.rows;
    for (long c = lo * kChannelUnit; c < std::min(hi * kChannelUnit, a.channels); ++c) {
      double mean = 0, squares = 0;
      for (long r = 0; r < rows; ++r) mean += static_cast<double>(a.moments.at(r)[c]);
      mean /= static_cast<double>(rows);
      for (long r = 0; r < rows; ++r) {
        const double away = static_cast<double>(a.moments.at(r)[c]) - mean;
        squares += static_cast<double>(a.moments.at(r)[n + c]) +
                   static_cast<double>(a.pixels) * away * away;
      }
      const double variance = squares / (static_cast<double>(rows) * static_cast<double>(a.pixels));
      write(a.out, n, c, mean, variance, a.eps, static_cast<double>(a.weight[c]));
    }
  }
  static void write(T* out, long n, long c, double mean, double variance, double eps,
                    double weight) {
    const double inverse = 1 / std::sqrt(variance + eps);
    out[c] = static_cast<T>(mean);
    out[n + c] = static_cast<T>(inverse);
    out[2 * n + c] = static_cast<T>(weight * inverse);
    out[3 * n + c] = static_cast<T>(variance);
  }
};

template <class T> struct FrozenStatistics {
  long channels;
  double eps;
  const T *mean, *variance, *weight;
  T* out;
  static void run(const FrozenStatistics& a, const Step<T>&, long lo, long hi) {
    for (long c = lo * kChannelUnit; c < std::min(hi * kChannelUnit, a.channels); ++c) {
      BatchStatistics<T>::write(a.out, padded(a.channels), c, static_cast<double>(a.mean[c]),
                                static_cast<double>(a.variance[c]), a.eps,
                                static_cast<double>(a.weight[c]));
    }
  }
};

template <class T> struct BatchNormSums {
  const Kernels<T>* k;
  long pixels, channels;
  Rows<T> dy, x, sums;
  const T* statistics;
  static void run(const BatchNormSums& a, const Step<T>&, long lo, long hi) {
    const long n = padded(a.channels);
    for (long r = lo; r < hi; ++r) {
      T* const to = a.sums.at(r);
      a.k->channel_sums(a.dy.at(r), a.x.at(r), a.statistics, a.pixels, a.channels, to, to + n);
      for (long c = 0; c < a.channels; ++c) to[n + c] *= a.statistics[n + c];
      std::fill(to + a.channels, to + n, T(0));
      std::fill(to + n + a.channels, to + 2 * n, T(0));
    }
  }
};

template <class T> struct BatchNormGradients {
  long pixels, channels;
  Rows<T> sums;
  const T* statistics;
  T* out;
  static void run(const BatchNormGradients& a, const Step<T>& s, long lo, long hi) {
    const long n = padded(a.channels);
    const double count = static_cast<double>(s.rows) * static_cast<double>(a.pixels);
    for (long c = lo * kChannelUnit; c < std::min(hi * kChannelUnit, a.channels); ++c) {
      double sum = 0, product = 0;
      for (long r = 0; r < s.rows; ++r) {
        sum += static_cast<double>(a.sums.at(r)[c]);
        product += static_cast<double>(a.sums.at(r)[n + c]);
      }
      a.out[c] = static_cast<T>(sum / count);
      a.out[n + c] = static_cast<T>(product / count * static_cast<double>(a.statistics[n + c]));
    }
  }
};

template <class T> struct BatchNormGrad {
  const Kernels<T>* k;
  long pixels, channels;
  Rows<T> dy, x, dx;
  const T *statistics, *means;
  bool accumulate;
  static void run(const BatchNormGrad& a, const Step<T>&, long lo, long hi) {
    const long n = padded(a.channels);
    for (long r = lo; r < hi; ++r) {
      a.k->normalize_grad(a.dy.at(r), a.x.at(r), a.statistics, a.statistics + 2 * n, a.means,
                          a.means + n, a.pixels, a.channels, a.dx.at(r), a.accumulate);
    }
    clear_padding(a.dx, lo, hi);
  }
};

}  // namespace steep::calls
