// Matrix products of rows by packed weights, and by weights turned over. The product itself is
// ../kernels/gemm.cpp; with few outputs it is a dot product for each, here.
#include "ops/dense.h"

#include "cpu/kernels/gemm.h"
#include "cpu/ops/call.h"
#include "cpu/simd/vec.h"

namespace steep::STEEP_ISA {
namespace {

template <class T, int N>
void dots(const T* x, long ldx, const T* wt, const T* bias, bool accumulate, T* y, long ldy,
          long rows, long columns) {
  using V = Vec<T>;
  constexpr int kParts = kLane / V::width;
  const long width = padded(columns);
  for (long r = 0; r < rows; ++r) {
    typename V::Reg sum[N][kParts];
    for (int n = 0; n < N; ++n)
      for (int p = 0; p < kParts; ++p) sum[n][p] = V::zero();
    for (long c = 0; c < width; c += kLane) {
      const long panel = c / kPanel * kPanel;
      const long ld = width - panel < kPanel ? kLane : kPanel;
      const T* const w = wt + panel * N + (c - panel);
      for (int p = 0; p < kParts; ++p) {
        const auto in = V::load(x + r * ldx + c + p * V::width);
        for (int n = 0; n < N; ++n)
          sum[n][p] = V::fma(in, V::load(w + n * ld + p * V::width), sum[n][p]);
      }
    }
    T* const out = y + r * ldy;
    T before[N];
    for (int n = 0; n < N; ++n) before[n] = accumulate ? out[n] : bias ? bias[n] : T(0);
    for (int p = 0; p < kParts; ++p) V::store(out + p * V::width, V::zero());
    for (int n = 0; n < N; ++n) {
      alignas(64) T lane[kLane];
      for (int p = 0; p < kParts; ++p) V::store(lane + p * V::width, sum[n][p]);
      out[n] = sum_lanes(lane) + before[n];
    }
  }
}

// y(r, n) = bias(n) + sum_c x(r, c) wt(n, c) for few outputs n, or is added to; wt (outputs, columns)
// in panels. Summed in kLane lanes over c, then a fixed tree. Padding of y is set to 0.
template <class T>
void narrow(const T* x, long ldx, const T* wt, const T* bias, bool accumulate, T* y, long ldy,
            long rows, long columns, long outputs) {
  const auto of = outputs == 1   ? dots<T, 1>
                  : outputs == 2 ? dots<T, 2>
                  : outputs == 3 ? dots<T, 3>
                                 : dots<T, 4>;
  of(x, ldx, wt, bias, accumulate, y, ldy, rows, columns);
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

// Rows [lo, hi) of y = relu?(x W + bias), or += x W. finish(c, columns) is called when columns
// [c, c + columns) are there. W^T of few outputs: all at once.
template <class T, class Finish>
STEEP_HD void multiply(const Work<T>& w, const View<T>& x, const T* bias, bool relu,
                       bool accumulate, const View<T>& y, long lo, long hi, Finish finish) {
  const T* const weight = w.parameters[0];
  if (w.narrow) {
    narrow(x.at(lo), x.ld, weight, bias, accumulate, y.at(lo), y.ld, hi - lo, x.columns, y.columns);
    return finish(0, y.width());
  }
  for (long p = 0; p < w.weight.count(); ++p) {
    const long c = p * kPanel, columns = w.weight.width(p);
    gemm_panel<T>({.a = x.at(lo),
                   .lda = x.ld,
                   .b = weight + w.weight.offset(p),
                   .ldb = columns,
                   .c = y.at(lo) + c,
                   .ldc = y.ld,
                   .rows = hi - lo,
                   .columns = columns,
                   .depth = w.weight.rows,
                   .bias = bias ? bias + c : nullptr,
                   .accumulate = accumulate,
                   .relu = relu});
    finish(c, columns);
  }
}

// The same with W^T in place of W. W lies in panels of its columns; each thread turns the rows it needs
// over into a strip of W^T of its own, small enough for the caches: cheaper than a W^T that all keep
// current. Not on the stack: a thread of the user's may have little.
template <class T, class Finish>
STEEP_HD void multiply_turned(const Work<T>& w, const Step<T>& s, const View<T>& x, const T* bias,
                              bool relu, bool accumulate, const View<T>& y, long lo, long hi,
                              Finish finish) {
  const long width = y.width(), depth = x.columns;
  for (long c = 0; c < width; c += kPanel) {
    const long columns = width - c < kPanel ? width - c : kPanel;
    for (long n = 0; n < depth; n += kTurned) {
      const long part = depth - n < kTurned ? depth - n : kTurned;
      if (!w.narrow) turn(w.weight, w.parameters[0], c, columns, n, part, s.scratch);
      gemm_panel<T>({.a = x.at(lo) + n,
                     .lda = x.ld,
                     .b = w.narrow ? w.parameters[0] + c * depth : s.scratch,
                     .ldb = columns,
                     .c = y.at(lo) + c,
                     .ldc = y.ld,
                     .rows = hi - lo,
                     .columns = columns,
                     .depth = part,
                     .bias = bias && n == 0 ? bias + c : nullptr,
                     .accumulate = accumulate || n > 0,
                     .relu = relu && n + part == depth});
    }
    finish(c, columns);
  }
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
  op.turned ? multiply_turned(w, s, x, bias, relu, false, z, lo, hi, finish)
            : multiply(w, x, bias, relu, false, z, lo, hi, finish);
  clear_padding(y, lo, hi);
  if (z.data != y.data) clear_padding(z, lo, hi);
}
STEEP_CALL(MatMul)

template <class T>
void run(const ops::MatMulGrad& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const View<T>&dz = w.in[0], &dx = w.out;
  const T* const bias = nullptr;
  const auto finish = [&](long c, long columns) {
    if (op.f.any()) activate_grad(w, op.f, dx, w.stored, dx, false, lo, hi, c, columns);
  };
  op.turned ? multiply(w, dz, bias, false, w.accumulate, dx, lo, hi, finish)
            : multiply_turned(w, s, dz, bias, false, w.accumulate, dx, lo, hi, finish);
  clear_padding(dx, lo, hi);
}
STEEP_CALL(MatMulGrad)

}  // namespace steep::STEEP_ISA
