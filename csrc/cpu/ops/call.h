// How the code of an op, in the file of its name, becomes a call of this instruction set; and what such
// code shares. Every file of this folder is compiled once per instruction set.
//
// A file defines  run(op, work, step, lo, hi)  of rows or, where the op crosses samples, of units
// [lo, hi), and names the op in STEEP_CALL. It neither allocates nor locks nor keeps state, and its
// result does not depend on how rows are split. Padding of what it writes is 0 afterwards.
#pragma once
#include "activations/list.h"
#include "cpu/kernels/fill.h"
#include "cpu/work.h"
#include "ops/op.h"

namespace steep::STEEP_ISA {

template <class A> struct Body;
template <class A, class T> void call(const Work<T>& w, const Step<T>& s, long lo, long hi) {
  Body<A>::run(*static_cast<const A*>(w.attributes), w, s, lo, hi);
}

// Padding is 0 after every call, whatever the numbers beside it: products (inf * 0) and some f do not
// leave it so. Stores only: a load would wait for what was just written.
template <class T> STEEP_HD void clear_padding(const View<T>& x, long lo, long hi) {
  constexpr long kBlock = 16 / long(sizeof(T));
  const long width = x.width(), whole = (x.columns + kBlock - 1) / kBlock * kBlock;
  if (width == x.columns) return;
  for (long r = lo; r < hi; ++r) {
    T* const row = x.at(r);
    for (long c = x.columns; c < whole; ++c) row[c] = T(0);
    for (long c = whole; c < width; c += kBlock) __builtin_memset(row + c, 0, kBlock * sizeof(T));
  }
}

constexpr int kRelu = index_of<activations::ReLU>(activations::All{});

// Columns [c, c + width) of rows [lo, hi).
template <class T>
STEEP_HD void activate(const Work<T>& w, const Fused& f, const View<T>& x, const View<T>& y,
                       long lo, long hi, long c, long width) {
  w.k->activate[f.activation.index](x.at(lo) + c, x.ld, y.at(lo) + c, y.ld, hi - lo, width,
                                    T(f.alpha));
}
template <class T>
STEEP_HD void activate_grad(const Work<T>& w, const Fused& f, const View<T>& dy,
                            const View<T>& stored, const View<T>& dx, bool accumulate, long lo,
                            long hi, long c, long width) {
  w.k->activate_grad[f.activation.index](dy.at(lo) + c, dy.ld, stored.at(lo) + c, stored.ld,
                                         dx.at(lo) + c, dx.ld, hi - lo, width, T(f.alpha),
                                         accumulate);
}

}  // namespace steep::STEEP_ISA

#define STEEP_BODY(op)                                                                    \
  template <> struct Body<ops::op> {                                                      \
    template <class... Args> STEEP_HD static void run(const Args&... args) {              \
      STEEP_ISA::run(args...);                                                            \
    }                                                                                     \
  };                                                                                      \
  template void call<ops::op, float>(const Work<float>&, const Step<float>&, long, long); \
  template void call<ops::op, double>(const Work<double>&, const Step<double>&, long, long);
#if STEEP_JOIN(STEEP_DUAL_, STEEP_ISA)
#define STEEP_CALL(op) \
  STEEP_BODY(op)       \
  template void call<ops::op, Dual>(const Work<Dual>&, const Step<Dual>&, long, long);
#else
#define STEEP_CALL(op) STEEP_BODY(op)
#endif
