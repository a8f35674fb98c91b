// Products by constant sparse matrices, and weights divided by their largest singular value, in dual numbers. Every
// element has its own sum, over the entries of its row in order, or by half a warp as the CPU's lanes fold.
#include "cuda/kernels/tangent.cuh"
// The line above comes first.
#include "cuda/kernels/tangent_matrices.h"

namespace steep::cuda {

namespace {

constexpr int kThreads = 256;

// ---- Sparse matrices ----

// Calls take(value, column) for the entries of row i.
template <class Take> STEEP_HD void over_entries(const SparseRows& a, int i, const Take& take) {
  for (int64_t e = a.begin[i]; e < a.begin[i + 1]; ++e) take(Dual(a.value[e]), a.column[e]);
}

struct SparseProduct {
  SparseRows a;
  int channels;
  Duals x, y;
  bool accumulate;
  STEEP_HD void operator()(int r, int at) const {
    const int i = at / channels, c = at % channels;
    Dual sum = 0;
    over_entries(a, i, [&](Dual value, long k) {
      sum = fma_(value, get(place(x, r, k * channels + c)), sum);
    });
    DualNumber* const to = place(y, r, at);
    put(to, fma_(Dual(1), sum, accumulate ? get(to) : Dual(0)));
  }
};

// Output n of row i of A W.
STEEP_HD Dual weighted(const DualSparse& of, int i, int n) {
  Dual sum = 0;
  over_entries(of.a, i, [&](Dual value, long k) {
    sum = fma_(value, get(of.w + (of.narrow ? of.panels.at(n, k) : of.panels.at(k, n))), sum);
  });
  return sum;
}

struct SparseMatMul {
  DualSparse of;
  Duals factors;
  STEEP_HD Dual operator()(int r, int at) const {
    const int i = at / of.outputs;
    const Dual sum = weighted(of, i, at % of.outputs), factor = get(factors, r, i);
    return of.narrow ? factor * sum : fma_(factor, sum, Dual(0));
  }
};

// Rows of W, over all samples in order; 0 in the padding, which is summed, too.
struct SparseMatMulGrad {
  int samples;
  DualSparse of;
  Duals dz, factors;
  DualNumber* dw;
  STEEP_HD void operator()(int k, int n) const {
    Dual sum = 0;
    for (int r = 0; k < of.a.rows && n < of.outputs && r < samples; ++r)
      over_entries(of.a, k, [&](Dual value, long i) {
        sum = fma_(value * get(place(factors, r, i)), get(place(dz, r, i * of.outputs + n)), sum);
      });
    put(dw + (of.narrow ? of.panels.at(n, k) : of.panels.at(k, n)), fma_(Dual(1), sum, Dual(0)));
  }
};

struct SparseFactors {
  DualSparse of;
  Duals dz;
  STEEP_HD Dual operator()(int r, int i) const {
    Dual sum = 0;
    for (int n = 0; n < of.outputs; ++n) {
      const Dual row = weighted(of, i, n);
      const Dual found = of.narrow ? row : fma_(Dual(1), row, Dual(0));
      sum = fma_(get(dz, r, i * of.outputs + n), found, sum);
    }
    return sum;
  }
};

// ---- Spectral normalisation ----

// Element `row` of M x by half a warp, for the matrix as it is stored.
__global__ void __launch_bounds__(64)
    multiply_rows(Panels m, const DualNumber* w, const DualNumber* x, DualNumber* y) {
  const int lane = static_cast<int>(threadIdx.x) % kHalf;
  const long row = (static_cast<long>(blockIdx.x) * 64 + threadIdx.x) / kHalf;
  Dual sum = 0;
  for (long c = lane; row < m.rows && c < m.columns; c += kHalf)
    sum = fma_(get(w + m.at(row, c)), get(x + c), sum);
  sum = fold(sum);
  if (row < m.rows && lane == 0) put(y + row, sum);
}
// Element `column` of M^T x by a thread.
__global__ void __launch_bounds__(kThreads)
    multiply_columns(Panels m, const DualNumber* w, const DualNumber* x, DualNumber* y) {
  const long column = static_cast<long>(blockIdx.x) * kThreads + threadIdx.x;
  if (column >= m.columns) return;
  Dual sum = 0;
  for (long r = 0; r < m.rows; ++r) sum = fma_(get(w + m.at(r, column)), get(x + r), sum);
  put(y + column, sum);
}

// Sum of x(c)*y(c) by half a warp.
__device__ __forceinline__ Dual dot(const DualNumber* x, const DualNumber* y, int n, int lane) {
  Dual sum = 0;
  for (int c = lane; c < n; c += kHalf) sum = fma_(get(x + c), get(y + c), sum);
  return fold(sum);
}

// Makes x of length 1, a vector without a derivative; what is nearly 0 stays so.
__global__ void __launch_bounds__(32) make_unit(int n, DualNumber* x, DualNumber* inverse) {
  const int lane = static_cast<int>(threadIdx.x) % kHalf;
  const bool mine = threadIdx.x < kHalf;
  const Dual found = sqrt_(dot(x, x, n, lane)), least = 1e-12;
  const Dual length = found < least ? least : found, scale = Dual(1) / length;
  __syncwarp();
  for (int c = lane; mine && c < n; c += kHalf) put(x + c, Dual((get(x + c) * scale).v));
  if (mine && lane == 0 && inverse) put(inverse, scale);
}
__global__ void __launch_bounds__(kThreads)
    copy_vector(int n, const DualNumber* from, DualNumber* to) {
  const int c = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (c < n) put(to + c, get(from + c));
}

struct Divided {
  Duals x;
  const DualNumber *inverse, *bias;
  Divisor outputs;
  STEEP_HD Dual operator()(int r, int c) const {
    const Dual value = get(x, r, c), scale = get(inverse);
    return bias ? fma_(value, scale, get(bias + outputs.of(c).rest)) : value * scale;
  }
};

__global__ void __launch_bounds__(64) shares_of_rows(int rows, DualSingular of, Duals dy, Duals x,
                                                     const DualNumber* vectors, Duals out) {
  const Part at(rows, 1, x.columns);
  const Dual sum =
      dot(place(dy, at.there ? at.r : 0, 0), place(x, at.there ? at.r : 0, 0), at.columns, at.lane);
  const Dual scale = get(vectors + of.at_inverse), share = -sum * scale * scale;
  for (int c = at.lane; at.there && c < out.columns; c += kHalf)
    put(place(out, at.r, c), share * get(vectors + of.at_v + c));
}

}  // namespace

void sparse_product(const Place& at, const SparseRows& a, int channels, const Duals& x,
                    const Duals& y, bool accumulate) {
  each(at, y.columns, SparseProduct{a, channels, x, y, accumulate});
}

void sparse_matmul(const Place& at, const DualSparse& of, const Duals& factors, const Duals& y) {
  write_each(at, y, false, SparseMatMul{of, factors});
}

void sparse_matmul_grad(const Place& at, const DualSparse& of, const Duals& dz,
                        const Duals& factors, DualNumber* dw) {
  const int width = static_cast<int>(of.panels.width());
  Place rows = at;
  rows.rows = of.narrow ? width : static_cast<int>(of.a.rows);
  each(rows, of.narrow ? of.outputs : width, SparseMatMulGrad{at.rows, of, dz, factors, dw});
}

void sparse_matmul_factors(const Place& at, const DualSparse& of, const Duals& dz, const Duals& dx,
                           bool accumulate) {
  write_each(at, dx, accumulate, SparseFactors{of, dz});
}

void spectral_vectors(const Place& at, const DualSingular& of, const DualNumber* u,
                      DualNumber* vectors) {
  DualNumber *const v = vectors + of.at_v, *const inverse = vectors + of.at_inverse;
  const auto multiply = [&](bool by_rows, const DualNumber* from, DualNumber* to) {
    by_rows ? start(at.stream, dim3(blocks_of(of.panels.rows, 64 / kHalf)), dim3(64), multiply_rows,
                    of.panels, of.w, from, to)
            : start(at.stream, dim3(blocks_of(of.panels.columns, kThreads)), dim3(kThreads),
                    multiply_columns, of.panels, of.w, from, to);
  };
  DualNumber* const none = nullptr;
  start(at.stream, dim3(blocks_of(of.outputs, kThreads)), dim3(kThreads), copy_vector, of.outputs,
        u, vectors);
  for (int k = 0; k < of.iterations; ++k) {
    multiply(!of.narrow, vectors, v);
    start(at.stream, dim3(1), dim3(32), make_unit, of.inputs, v, none);
    multiply(of.narrow, v, vectors);
    start(at.stream, dim3(1), dim3(32), make_unit, of.outputs, vectors, inverse);
  }
}

void spectral_norm(const Place& at, const DualSingular& of, const Duals& x,
                   const DualNumber* vectors, const DualNumber* bias, const Duals& y,
                   bool accumulate) {
  write_each(at, y, accumulate, Divided{x, vectors + of.at_inverse, bias, Divisor(of.outputs)});
}

void spectral_shares(const Place& at, const DualSingular& of, const Duals& dy, const Duals& x,
                     const DualNumber* vectors, const Duals& out) {
  start(at.stream, dim3(blocks_of(at.rows, 64 / kHalf)), dim3(64), shares_of_rows, at.rows, of, dy,
        x, vectors, out);
}

}  // namespace steep::cuda
