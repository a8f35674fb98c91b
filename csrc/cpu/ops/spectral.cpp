// The power method on packed weights, and the division of a product by what it finds.
#include "ops/spectral.h"

#include "cpu/kernels/each.h"
#include "cpu/ops/call.h"

namespace steep::STEEP_ISA {
namespace {

// y = M x, or y = M^T x, for a matrix in panels, whose padding is 0 as that of x. In kLane lanes, then a
// fixed tree.
template <class T> STEEP_HD void by_rows(const Panels& m, const T* w, const T* x, T* y) {
  for (long r = 0; r < m.rows; ++r) {
    alignas(64) T lane[kLane];
    for (long j = 0; j < kLane; ++j) lane[j] = T(0);
    for (long c = 0; c < m.width(); c += kLane) {
      const T* const row = w + m.at(r, c);
      for (long j = 0; j < kLane; ++j) lane[j] = fma_(row[j], x[c + j], lane[j]);
    }
    y[r] = sum_lanes(lane);
  }
  for (long r = m.rows; r < padded(m.rows); ++r) y[r] = T(0);
}
template <class T> STEEP_HD void by_columns(const Panels& m, const T* w, const T* x, T* y) {
  for (long c = 0; c < m.width(); c += kLane) {
    alignas(64) T lane[kLane];
    for (long j = 0; j < kLane; ++j) lane[j] = T(0);
    for (long r = 0; r < m.rows; ++r) {
      const T* const row = w + m.at(r, c);
      for (long j = 0; j < kLane; ++j) lane[j] = fma_(row[j], x[r], lane[j]);
    }
    for (long j = 0; j < kLane; ++j) y[c + j] = lane[j];
  }
}

// Makes x of length 1, a vector without a derivative, and returns what it was; what is nearly 0 stays so.
template <class T> STEEP_HD T normalize(T* x, long n) {
  alignas(64) T lane[kLane];
  for (long j = 0; j < kLane; ++j) lane[j] = T(0);
  for (long c = 0; c < padded(n); c += kLane)
    for (long j = 0; j < kLane; ++j) lane[j] = fma_(x[c + j], x[c + j], lane[j]);
  const T length = sqrt_(sum_lanes(lane));
  const T least = T(1e-12), scale = T(1) / (length < least ? least : length);
  for (long c = 0; c < n; ++c) {
    x[c] = x[c] * scale;
    if constexpr (kDual<T>) x[c] = T(plain(x[c]));
  }
  return length < least ? least : length;
}

template <class T>
STEEP_HD T dot(const T* x, const T* y, long n) {
  alignas(64) T lane[kLane];
  for (long j = 0; j < kLane; ++j) lane[j] = T(0);
  for (long c = 0; c < padded(n); c += kLane)
    for (long j = 0; j < kLane; ++j) lane[j] = fma_(x[c + j], y[c + j], lane[j]);
  return sum_lanes(lane);
}

}  // namespace

template <class T>
void run(const ops::SpectralVectors& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  if (lo >= hi) return;
  const T* const weight = w.parameters[0];
  T *const u = w.out.data, *const v = u + op.v(), *const inverse = u + op.inverse();
  for (long c = 0; c < op.v(); ++c) u[c] = c < op.outputs ? w.parameters[1][c] : T(0);
  T sigma = T(1);
  for (long k = 0; k < op.iterations; ++k) {
    w.narrow ? by_columns(w.weight, weight, u, v) : by_rows(w.weight, weight, u, v);
    normalize(v, op.inputs);
    w.narrow ? by_rows(w.weight, weight, v, u) : by_columns(w.weight, weight, v, u);
    sigma = normalize(u, op.outputs);  // |W^T v| is v^T W u of the new u
  }
  inverse[0] = T(1) / sigma;
  for (long c = 1; c < kLane; ++c) inverse[c] = T(0);
}
STEEP_CALL(SpectralVectors)

template <class T>
void run(const ops::SpectralNorm& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const T scale = w.in[1].data[op.inverse()];
  const T* const bias = w.parameters[2];
  for (long r = lo; r < hi; ++r) {
    const T* x = w.in[0].at(r);
    T* y = w.out.at(r);
    for (long p = 0; p < w.out.columns; p += op.outputs, x += op.outputs, y += op.outputs)
      each(y, 0, 1, op.outputs, false,
           [=](long, long c) { return bias ? fma_(x[c], scale, bias[c]) : x[c] * scale; });
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(SpectralNorm)

template <class T>
void run(const ops::SpectralScale& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const T scale = w.in[1].data[op.inverse()];
  each(w.out.at(lo), w.out.ld, hi - lo, w.out.width(), w.accumulate,
       [=, x = w.in[0].at(lo), ld = w.in[0].ld](long r, long c) { return x[r * ld + c] * scale; });
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(SpectralScale)

template <class T>
void run(const ops::SpectralShares& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const T* const vectors = w.in[2].data;
  const T scale = vectors[op.inverse()];
  for (long r = lo; r < hi; ++r) {
    const T share = -dot(w.in[0].at(r), w.in[1].at(r), w.in[1].columns) * scale * scale;
    each(w.out.at(r), 0, 1, w.out.width(), false,
         [=, v = vectors + op.v()](long, long c) { return share * v[c]; });
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(SpectralShares)

}  // namespace steep::STEEP_ISA
