// Loops of sums, repetitions and ranges along axes: (outer, n, inner) of each row.
#include "ops/axes.h"

#include "cpu/kernels/each.h"
#include "cpu/ops/call.h"

namespace steep::STEEP_ISA {
namespace {

// sum_t x(t) of neighbours: in kLane lanes, then a fixed tree.
template <class T> STEEP_HD T sum_of(const T* x, long n) {
  alignas(64) T lane[kLane];
  for (long j = 0; j < kLane; ++j) lane[j] = T(0);
  long t = 0;
  for (; t + kLane <= n; t += kLane)
    for (long j = 0; j < kLane; ++j) lane[j] += x[t + j];
  for (long j = 0; t + j < n; ++j) lane[j] += x[t + j];
  return sum_lanes(lane);
}

}  // namespace

template <class T>
void run(const ops::Sum& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  constexpr long kBlock = 512;  // of the inner axes, summed at a time
  const T scale = T(op.scale);
  for (long r = lo; r < hi; ++r) {
    const T* x = w.in[0].at(r);
    T* y = w.out.at(r);
    for (long o = 0; o < op.outer; ++o, x += op.n * op.inner, y += op.inner) {
      if (op.inner == 1) {
        const T sum = scale * sum_of(x, op.n);
        *y = w.accumulate ? *y + sum : sum;
        continue;
      }
      for (long c = 0; c < op.inner; c += kBlock) {
        const long columns = op.inner - c < kBlock ? op.inner - c : kBlock;
        T sum[kBlock];
        for (long k = 0; k < columns; ++k) sum[k] = x[c + k];
        for (long t = 1; t < op.n; ++t)
          for (long k = 0; k < columns; ++k) sum[k] += x[t * op.inner + c + k];
        each(y + c, 0, 1, columns, w.accumulate, [&](long, long k) { return scale * sum[k]; });
      }
    }
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(Sum)

template <class T>
void run(const ops::Repeat& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const T scale = T(op.scale);
  for (long r = lo; r < hi; ++r) {
    const T* x = w.in[0].at(r);
    T* y = w.out.at(r);
    for (long o = 0; o < op.outer; ++o, x += op.inner) {
      if (op.inner == 1) {
        const T value = scale * *x;
        each(y, 0, 1, op.n, w.accumulate, [=](long, long) { return value; });
        y += op.n;
        continue;
      }
      for (long t = 0; t < op.n; ++t, y += op.inner)
        each(y, 0, 1, op.inner, w.accumulate, [=](long, long k) { return scale * x[k]; });
    }
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(Repeat)

template <class T>
void run(const ops::Slice& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const long columns = (op.last - op.first) * op.inner;
  for (long r = lo; r < hi; ++r) {
    const T* x = w.in[0].at(r) + op.first * op.inner;
    T* y = w.out.at(r);
    for (long o = 0; o < op.outer; ++o, x += op.n * op.inner, y += columns)
      __builtin_memcpy(y, x, columns * sizeof(T));
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(Slice)

template <class T>
void run(const ops::SliceGrad& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const ops::Slice& of = op.of;
  const long columns = (of.last - of.first) * of.inner;
  for (long r = lo; r < hi; ++r) {
    const T* dy = w.in[0].at(r);
    T* dx = w.out.at(r);
    if (!w.accumulate) __builtin_memset(dx, 0, w.out.width() * sizeof(T));
    dx += of.first * of.inner;
    for (long o = 0; o < of.outer; ++o, dx += of.n * of.inner, dy += columns)
      each(dx, 0, 1, columns, w.accumulate, [=](long, long k) { return dy[k]; });
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(SliceGrad)

}  // namespace steep::STEEP_ISA
