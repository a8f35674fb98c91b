// Matrix products of rows by packed weights, and by weights turned over. The product itself is
// ../kernels/gemm.cpp; with few outputs it is a dot product for each, here.
#include "ops/dense.h"

#include "cpu/kernels/gemm.h"
#include "cpu/ops/call.h"
#include "cpu/simd/vec.h"

namespace steep::STEEP_ISA {
namespace {

template <class T, int N>
void dots(const T* x, long ldx, const T* wt, const T* bias, T* y, long ldy, long rows,
          long columns) {
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
    for (int p = 0; p < kParts; ++p) V::store(out + p * V::width, V::zero());
    for (int n = 0; n < N; ++n) {
      alignas(64) T lane[kLane];
      for (int p = 0; p < kParts; ++p) V::store(lane + p * V::width, sum[n][p]);
      out[n] = sum_lanes(lane) + (bias ? bias[n] : T(0));
    }
  }
}

// y(r, n) = bias(n) + sum_c x(r, c) wt(n, c) for few outputs n; wt (outputs, columns) in panels.
// Summed in kLane lanes over c, then a fixed tree. Padding of y is set to 0.
template <class T>
void narrow(const T* x, long ldx, const T* wt, const T* bias, T* y, long ldy, long rows,
            long columns, long outputs) {
  const auto of = outputs == 1   ? dots<T, 1>
                  : outputs == 2 ? dots<T, 2>
                  : outputs == 3 ? dots<T, 3>
                                 : dots<T, 4>;
  of(x, ldx, wt, bias, y, ldy, rows, columns);
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

}  // namespace

// f is fused: relu inside the kernel, others on the panel just written.
template <class T>
void run(const ops::MatMul& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const View<T>&x = w.in[0], &y = w.out, &z = w.inner();
  const T *const weight = w.parameters[0], *const bias = w.parameters[1];
  if (w.narrow) {
    narrow(x.at(lo), x.ld, weight, bias, z.at(lo), z.ld, hi - lo, x.columns, z.columns);
    if (!op.f.any()) return;
    activate(w, op.f, z, y, lo, hi, 0, z.width());
    return clear_padding(y, lo, hi);  // of z, the kernel does
  }
  const bool relu = op.f.activation.index == kRelu && z.data == y.data;
  for (long p = 0; p < w.weight.count(); ++p) {
    const long c = p * kPanel, columns = w.weight.width(p);
    gemm_panel<T>({.a = x.at(lo),
                   .lda = x.ld,
                   .b = weight + w.weight.offset(p),
                   .ldb = columns,
                   .c = z.at(lo) + c,
                   .ldc = z.ld,
                   .rows = hi - lo,
                   .columns = columns,
                   .depth = w.weight.rows,
                   .bias = bias ? bias + c : nullptr,
                   .relu = relu});
    if (op.f.any() && !relu) activate(w, op.f, z, y, lo, hi, c, columns);
  }
  clear_padding(y, lo, hi);
  if (z.data != y.data) clear_padding(z, lo, hi);
}
STEEP_CALL(MatMul)

// W lies in panels of its columns; each thread turns the rows it needs over into a strip of W^T of its
// own, small enough for the caches: cheaper than a W^T that all keep current. Not on the stack: a
// thread of the user's may have little.
template <class T>
void run(const ops::MatMulGrad& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const View<T>&dz = w.in[0], &dx = w.out;
  const long width = dx.width(), outputs = dz.columns;
  for (long c = 0; c < width; c += kPanel) {
    const long columns = width - c < kPanel ? width - c : kPanel;
    for (long n = 0; n < outputs; n += kTurned) {
      const long depth = outputs - n < kTurned ? outputs - n : kTurned;
      if (!w.narrow) turn(w.weight, w.parameters[0], c, columns, n, depth, s.scratch);
      gemm_panel<T>({.a = dz.at(lo) + n,
                     .lda = dz.ld,
                     .b = w.narrow ? w.parameters[0] + c * outputs : s.scratch,
                     .ldb = columns,
                     .c = dx.at(lo) + c,
                     .ldc = dx.ld,
                     .rows = hi - lo,
                     .columns = columns,
                     .depth = depth,
                     .accumulate = w.accumulate || n > 0});
    }
    if (op.f.any()) activate_grad(w, op.f, dx, w.stored, dx, false, lo, hi, c, columns);
  }
  clear_padding(dx, lo, hi);
}
STEEP_CALL(MatMulGrad)

}  // namespace steep::STEEP_ISA
