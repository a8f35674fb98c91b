// Maps by a row that is the same for every sample, and by numbers of channels. No op lives here.
#pragma once
#include "cpu/kernels/each.h"
#include "cpu/ops/call.h"

namespace steep::STEEP_ISA {

// y = x + p
template <class T>
void add_row(const View<T>& x, const T* p, const View<T>& y, long lo, long hi) {
  each(y.at(lo), y.ld, hi - lo, y.width(), false,
       [=, from = x.at(lo), ld = x.ld](long r, long c) { return from[r * ld + c] + p[c]; });
}

// y (+)= x*p
template <class T>
void multiply_row(const View<T>& x, const T* p, const View<T>& y, bool accumulate, long lo,
                  long hi) {
  each(y.at(lo), y.ld, hi - lo, y.width(), accumulate,
       [=, from = x.at(lo), ld = x.ld](long r, long c) { return from[r * ld + c] * p[c]; });
}

template <class T>
void by_channel(const ByChannel<T>& row, const View<T>& x, const View<T>& y, bool accumulate,
                long lo, long hi) {
  multiply_row(x, row.scale, y, accumulate, lo, hi);
  if (row.shift) add_row(y, row.shift, y, lo, hi);
}

constexpr long kMaxRepeat = 64;   // channels up to which vectors are repeated
constexpr long kMinPeriod = 256;  // of repeated vectors, in elements

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

// y(p, c) (+)= value(x(p, c), v(c)) over the positions of samples [lo, hi).
template <class T, class Value>
void each_position(const View<T>& x, const T* v, long positions, const View<T>& y, bool accumulate,
                   long lo, long hi, Value value) {
  const long size = y.columns;
  const Periodic<T, 1> row({v}, positions, size / positions);
  for (long r = lo; r < hi; ++r) {
    T* const to = y.at(r);
    const auto of = [=, from = x.at(r), v = row.of[0]](long at, long k) {
      return value(from[at], v[k]);
    };
    if (accumulate)
      each_element(to, size, row.period, [=](long at, long k) { return to[at] + of(at, k); });
    else
      each_element(to, size, row.period, of);
  }
  clear_padding(y, lo, hi);
}

}  // namespace steep::STEEP_ISA
