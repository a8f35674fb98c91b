// Local response normalisation over neighbouring channels and its gradient, image by image.
#include "ops/lrn.h"

#include "cpu/ops/call.h"

namespace steep::STEEP_ISA {
namespace {

constexpr long kChunk = 256;  // channels worked on at once

STEEP_HD long least(long a, long b) { return a < b ? a : b; }
STEEP_HD long most(long a, long b) { return a > b ? a : b; }

// sum(c - first) += sum of value(j) over j in [low, high) with |j - c| <= reach, j ascending
template <class T, class Value>
STEEP_HD void add_neighbours(T* sum, long first, long end, long low, long high, long reach,
                             Value value) {
  for (long d = -reach; d <= reach; ++d) {
    const long from = most(first, low - d), to = least(end, high - d);
#pragma GCC ivdep
    for (long c = from; c < to; ++c) sum[c - first] = value(c + d, sum[c - first]);
  }
}

// base(c - first) = bias + alpha * sum of squares around c, for c in [first, end)
template <class T>
STEEP_HD void bases(const T* x, long channels, long first, long end, long reach, T alpha, T bias,
                    T* base) {
  for (long k = 0; k < end - first; ++k) base[k] = T(0);
  add_neighbours(base, first, end, 0L, channels, reach,
                 [=](long j, T sum) { return fma_(x[j], x[j], sum); });
  for (long k = 0; k < end - first; ++k) base[k] = fma_(alpha, base[k], bias);
}

template <class T>
void lrn(const T* x, long pixels, long channels, long size, T alpha, T beta, T bias, T* y) {
  const long reach = least(size / 2, channels - 1);
  T base[kChunk];
  for (long p = 0; p < pixels; ++p, x += channels, y += channels) {
    for (long first = 0; first < channels; first += kChunk) {
      const long end = least(first + kChunk, channels);
      bases(x, channels, first, end, reach, alpha, bias, base);
      for (long c = first; c < end; ++c) y[c] = x[c] * exp_(-beta * log_(base[c - first]));
    }
  }
}

// With b_c the base and r_c = dy_c x_c b_c^(-beta-1):
// dx_i = dy_i b_i^-beta - 2 alpha beta x_i sum_{|c-i| <= size/2} r_c
template <class T>
void lrn_grad(const T* x, const T* dy, long pixels, long channels, long size, T alpha, T beta,
              T bias, T* dx, bool accumulate) {
  const long reach = least(size / 2, channels - 1);
  const T factor = T(-2) * alpha * beta;
  T base[kChunk], ratio[kChunk], power[kChunk], sum[kChunk];
  for (long p = 0; p < pixels; ++p, x += channels, dy += channels, dx += channels) {
    for (long first = 0; first < channels; first += kChunk) {
      const long end = least(first + kChunk, channels);
      for (long k = 0; k < end - first; ++k) sum[k] = T(0);
      const long last = least(end + reach, channels);
      long low = most(first - reach, 0);
      while (low < last) {  // pieces end where this chunk does: its own powers are found once
        const long edge = low < first ? first : low < end ? end : last;
        const long high = least(edge, low + kChunk);
        bases(x, channels, low, high, reach, alpha, bias, base);
        for (long k = 0; k < high - low; ++k) {
          const T b = exp_(-beta * log_(base[k]));
          ratio[k] = dy[low + k] * x[low + k] * b / base[k];
          if (low == first) power[k] = b;
        }
        add_neighbours(sum, first, end, low, high, reach,
                       [=, &ratio](long j, T total) { return total + ratio[j - low]; });
        low = high;
      }
      for (long k = 0; k < end - first; ++k) {
        const T value = fma_(factor * x[first + k], sum[k], dy[first + k] * power[k]);
        dx[first + k] = accumulate ? dx[first + k] + value : value;
      }
    }
  }
}

}  // namespace

template <class T>
void run(const ops::LocalNorm& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  for (long r = lo; r < hi; ++r)
    lrn(w.in[0].at(r), op.pixels, op.channels, op.size, T(op.alpha), T(op.beta), T(op.bias),
        w.out.at(r));
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(LocalNorm)

template <class T>
void run(const ops::LocalNormGrad& grad, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const ops::LocalNorm& op = grad.of;
  for (long r = lo; r < hi; ++r)
    lrn_grad(w.in[0].at(r), w.in[1].at(r), op.pixels, op.channels, op.size, T(op.alpha), T(op.beta),
             T(op.bias), w.out.at(r), w.accumulate);
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(LocalNormGrad)

}  // namespace steep::STEEP_ISA
