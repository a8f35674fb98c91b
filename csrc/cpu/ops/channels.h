// Maps by a row that is the same for every sample. No op lives here.
#pragma once
#include "cpu/kernels/each.h"
#include "cpu/work.h"

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

}  // namespace steep::STEEP_ISA
