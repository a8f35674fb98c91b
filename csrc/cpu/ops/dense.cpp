// Matrix products of rows by packed weights, and by weights turned over. The product itself is
// ../kernels/gemm.cpp; with few outputs it is a dot product for each, here. Rows are samples, or their
// positions, which lie dense in a sample.
#include "ops/dense.h"

#include "cpu/kernels/gemm.h"
#include "cpu/ops/call.h"
#include "cpu/simd/vec.h"

namespace steep::STEEP_ISA {
namespace {

// Rows of x and y that one product takes: those of a sample, or one of each sample. Every row has its
// sums, so that it makes no difference which.
struct Rows { long ldx, ldy, count; };

// Calls product(first row of x, first row of y, rows) for all positions of samples [lo, hi).
template <class T, class F>
STEEP_HD void over_rows(const View<T>& x, const View<T>& y, long positions, long lo, long hi,
                        F product) {
  const long samples = hi - lo, in = x.columns / positions, out = y.columns / positions;
  if (samples > positions || positions == 1)
    for (long p = 0; p < positions; ++p)
      product(x.at(lo) + p * in, y.at(lo) + p * out, Rows{x.ld, y.ld, samples});
  else
    for (long r = lo; r < hi; ++r) product(x.at(r), y.at(r), Rows{in, out, positions});
}

template <class T, int N> struct Dots {
  using V = Vec<T>;
  static constexpr int kParts = kLane / V::width;
  typename V::Reg sum[N][kParts];

  STEEP_HD Dots() {
    for (int n = 0; n < N; ++n)
      for (int p = 0; p < kParts; ++p) sum[n][p] = V::zero();
  }
  // load(p) is part p of kLane inputs.
  template <class Load> STEEP_HD void add(const T* w, long ld, Load load) {
    for (int p = 0; p < kParts; ++p) {
      const auto in = load(p);
      for (int n = 0; n < N; ++n)
        sum[n][p] = V::fma(in, V::load(w + n * ld + p * V::width), sum[n][p]);
    }
  }
  STEEP_HD T total(int n) const {
    alignas(64) T lane[kLane];
    for (int p = 0; p < kParts; ++p) V::store(lane + p * V::width, sum[n][p]);
    return sum_lanes(lane);
  }
};

// Where rows are dense, what follows them is another row: it is neither multiplied nor written.
template <class T, int N, bool kDense>
void dots(const T* x, const T* wt, const T* bias, bool accumulate, T* y, const Rows& rows,
          long columns) {
  using V = Vec<T>;
  const long width = padded(columns), whole = kDense ? columns / kLane * kLane : width;
  const auto weights = [=](long c, long& ld) {
    const long panel = c / kPanel * kPanel;
    ld = width - panel < kPanel ? kLane : kPanel;
    return wt + panel * N + (c - panel);
  };
  T first[N];
  for (int n = 0; n < N; ++n) first[n] = bias ? bias[n] : T(0);
  for (long r = 0; r < rows.count; ++r) {
    const T* const in = x + r * rows.ldx;
    Dots<T, N> sums;
    long ld;
    for (long c = 0; c < whole; c += kLane) {
      const T* const w = weights(c, ld);
      sums.add(w, ld, [=](int p) { return V::load(in + c + p * V::width); });
    }
    if (whole < width) {
      const T* const w = weights(whole, ld);
      sums.add(w, ld, [=](int p) {
        const long left = columns - whole - p * V::width;
        return V::load_part(in + whole + p * V::width, left < 0          ? 0
                                                       : left < V::width ? left
                                                                         : long(V::width));
      });
    }
    T* const out = y + r * rows.ldy;
    if (accumulate)
      for (int n = 0; n < N; ++n) first[n] = out[n];
    if (!kDense)
      for (int p = 0; p < Dots<T, N>::kParts; ++p) V::store(out + p * V::width, V::zero());
    for (int n = 0; n < N; ++n) out[n] = sums.total(n) + first[n];
  }
}

// y(r, n) = bias(n) + sum_c x(r, c) wt(n, c) for few outputs n, or is added to; wt (outputs, columns)
// in panels. Summed in kLane lanes over c, then a fixed tree. Padding of y is set to 0.
template <class T, bool kDense>
void narrow(const T* x, const T* wt, const T* bias, bool accumulate, T* y, const Rows& rows,
            long columns, long outputs) {
  const auto of = outputs == 1   ? dots<T, 1, kDense>
                  : outputs == 2 ? dots<T, 2, kDense>
                  : outputs == 3 ? dots<T, 3, kDense>
                                 : dots<T, 4, kDense>;
  of(x, wt, bias, accumulate, y, rows, columns);
}

// strip(n, i) = W(first + i, n0 + n) for the rows of one panel of dX; padding is 0.
template <class T>
void turn(const Panels& stored, const T* weight, long first, long columns, long n0, long depth,
          T* strip) {
  const long left = stored.rows - first, rows = left < columns ? left : columns;
  if (rows < columns) __builtin_memset(strip, 0, depth * columns * sizeof(T));
  for (long n = 0; n < depth; n += kPanel) {
    const long panel = (n0 + n) / kPanel, rest = depth - n;
    transpose(weight + stored.at(first, n0 + n), stored.width(panel), strip + n * columns, columns,
              rows, rest < kPanel ? rest : kPanel);
  }
}

// Positions of samples [lo, hi) of y = relu?(x W + bias), or += x W. finish(c, columns) is called when
// columns [c, c + columns) of a row are there; of several positions and of few outputs all at once.
template <class T, class Finish>
STEEP_HD void multiply(const Work<T>& w, const View<T>& x, const T* bias, bool relu,
                       bool accumulate, const View<T>& y, long positions, long lo, long hi,
                       Finish finish) {
  const T* const weight = w.parameters[0];
  const bool dense = positions > 1;
  const long in = x.columns / positions, out = y.columns / positions;
  if (w.narrow) {
    over_rows(x, y, positions, lo, hi, [&](const T* from, T* to, const Rows& rows) {
      dense ? narrow<T, true>(from, weight, bias, accumulate, to, rows, in, out)
            : narrow<T, false>(from, weight, bias, accumulate, to, rows, in, out);
    });
    return finish(0, y.width());
  }
  for (long p = 0; p < w.weight.count(); ++p) {
    const long c = p * kPanel, columns = w.weight.width(p), present = w.weight.present(p);
    over_rows(x, y, positions, lo, hi, [&](const T* from, T* to, const Rows& rows) {
      gemm_panel<T>({.a = from,
                     .lda = rows.ldx,
                     .b = weight + w.weight.offset(p),
                     .ldb = columns,
                     .c = to + c,
                     .ldc = rows.ldy,
                     .rows = rows.count,
                     .columns = columns,
                     .depth = in,
                     .bias = bias ? bias + c : nullptr,
                     .accumulate = accumulate,
                     .relu = relu,
                     .present = dense && present < columns ? present : 0});
    });
    if (!dense) finish(c, columns);
  }
  if (dense) finish(0, y.width());
}

// The same with W^T in place of W. W lies in panels of its columns; each thread turns the rows it needs
// over into a strip of W^T of its own, small enough for the caches: cheaper than a W^T that all keep
// current. Not on the stack: a thread of the user's may have little.
template <class T, class Finish>
STEEP_HD void multiply_turned(const Work<T>& w, const Step<T>& s, const View<T>& x, const T* bias,
                              bool relu, bool accumulate, const View<T>& y, long positions, long lo,
                              long hi, Finish finish) {
  const bool dense = positions > 1;
  const long depth = x.columns / positions;
  const Panels of{depth, y.columns / positions};
  for (long p = 0; p < of.count(); ++p) {
    const long c = p * kPanel, columns = of.width(p), present = of.present(p);
    for (long n = 0; n < depth; n += kTurned) {
      const long part = depth - n < kTurned ? depth - n : kTurned;
      if (!w.narrow) turn(w.weight, w.parameters[0], c, columns, n, part, s.scratch);
      over_rows(x, y, positions, lo, hi, [&](const T* from, T* to, const Rows& rows) {
        gemm_panel<T>({.a = from + n,
                       .lda = rows.ldx,
                       .b = w.narrow ? w.parameters[0] + c * depth : s.scratch,
                       .ldb = columns,
                       .c = to + c,
                       .ldc = rows.ldy,
                       .rows = rows.count,
                       .columns = columns,
                       .depth = part,
                       .bias = bias && n == 0 ? bias + c : nullptr,
                       .accumulate = accumulate || n > 0,
                       .relu = relu && n + part == depth,
                       .present = dense && present < columns ? present : 0});
      });
    }
    if (!dense) finish(c, columns);
  }
  if (dense) finish(0, y.width());
}

}  // namespace

// f is fused: relu inside the kernel, others on the panel just written.
template <class T>
void run(const ops::MatMul& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const View<T>&x = w.in[0], &y = w.out, &z = w.inner();
  const T* const bias = w.parameters[1];
  const bool relu = op.f.activation.index == kRelu && z.data == y.data && !w.narrow;
  const auto finish = [&](long c, long columns) {
    if (op.f.any() && !relu) activate(w, op.f, z, y, lo, hi, c, columns);
  };
  op.turned ? multiply_turned(w, s, x, bias, relu, false, z, op.positions, lo, hi, finish)
            : multiply(w, x, bias, relu, false, z, op.positions, lo, hi, finish);
  const bool cleared = w.narrow && !op.turned && op.positions == 1;  // z, by its kernel
  if (op.f.any() || !cleared) clear_padding(y, lo, hi);
  if (z.data != y.data && !cleared) clear_padding(z, lo, hi);
}
STEEP_CALL(MatMul)

template <class T>
void run(const ops::MatMulGrad& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const View<T>&dz = w.in[0], &dx = w.out;
  const T* const bias = nullptr;
  const auto finish = [&](long c, long columns) {
    if (op.f.any()) activate_grad(w, op.f, dx, w.stored, dx, false, lo, hi, c, columns);
  };
  op.turned
      ? multiply(w, dz, bias, false, w.accumulate, dx, op.positions, lo, hi, finish)
      : multiply_turned(w, s, dz, bias, false, w.accumulate, dx, op.positions, lo, hi, finish);
  clear_padding(dx, lo, hi);
}
STEEP_CALL(MatMulGrad)

}  // namespace steep::STEEP_ISA
