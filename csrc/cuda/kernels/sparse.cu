// Products by a constant sparse matrix: a thread a result, whose sum goes over the entries of its row in order,
// as on the CPU.
#include "cuda/kernels/each.cuh"

namespace steep::cuda {

namespace {

// The sum of value(entry)*x(column) over the entries of row i, on top of `sum`.
template <class Value, class X>
STEEP_HD float add_entries(const SparseRows& a, long i, float sum, const Value& value, const X& x) {
  for (int64_t e = a.begin[i], end = a.begin[i + 1]; e < end; ++e) {
    const long k = a.column[e];
    sum = fma_(value(a.single[e], k), x(k), sum);
  }
  return sum;
}

struct Entry {
  STEEP_HD float operator()(float value, long) const { return value; }
};

// What vectors of the CPU leave: y (+)= scale*sum, by one fused multiply-add.
STEEP_HD void leave(float* y, float scale, float sum, bool accumulate) {
  *y = fma_(scale, sum, accumulate ? *y : 0.0f);
}

struct Product {
  SparseRows a;
  int channels;
  View x, y;
  bool accumulate;
  STEEP_HD void operator()(int r, int c) const {
    const float* const from = x.data + r * x.ld + c % channels;
    const float sum =
        add_entries(a, c / channels, 0.0f, Entry{}, [&](long k) { return from[k * channels]; });
    leave(y.data + r * y.ld + c, 1.0f, sum, accumulate);
  }
};

// Element (i, n) of A W.
STEEP_HD float weighted(const SparseFactor& of, long i, int n) {
  const Panels& p = of.w.panels;
  return add_entries(of.a, i, 0.0f, Entry{},
                     [&](long k) { return of.w.data[of.narrow ? p.at(n, k) : p.at(k, n)]; });
}

struct MatMul {
  SparseFactor of;
  View factors, y;
  STEEP_HD void operator()(int r, int c) const {
    const long i = c / of.outputs;
    const float sum = weighted(of, i, c % of.outputs), factor = at(factors, r, static_cast<int>(i));
    float* const to = y.data + r * y.ld + c;
    of.narrow ? void(*to = factor * sum) : leave(to, factor, sum, false);
  }
};

// Row k of W, output n; what a panel has of padding is 0.
struct MatMulGrad {
  SparseFactor of;
  int samples;
  View dz, factors;
  float* dw;
  STEEP_HD void operator()(int k, int n) const {
    const Panels& p = of.w.panels;
    float* const to = dw + (of.narrow ? p.at(n, k) : p.at(k, n));
    if (n >= of.outputs || k >= of.a.rows) {
      *to = 0;
      return;
    }
    float sum = 0;
    for (int r = 0; r < samples; ++r) {
      const float *const up = dz.data + r * dz.ld + n, *const by = factors.data + r * factors.ld;
      sum = add_entries(
          of.a, k, sum, [&](float value, long i) { return value * by[i]; },
          [&](long i) { return up[i * of.outputs]; });
    }
    leave(to, 1.0f, sum, false);
  }
};

struct Factors {
  SparseFactor of;
  View dz, dx;
  bool accumulate;
  STEEP_HD void operator()(int r, int i) const {
    const float* const up = dz.data + r * dz.ld + static_cast<long>(i) * of.outputs;
    float sum = 0;
    for (int n = 0; n < of.outputs; ++n) {
      float own = weighted(of, i, n);
      if (!of.narrow) leave(&own, 1.0f, own, false);
      sum = fma_(up[n], own, sum);
    }
    float* const to = dx.data + r * dx.ld + i;
    *to = accumulate ? *to + sum : sum;
  }
};

}  // namespace

void sparse_product(const Place& at, const SparseRows& a, int channels, const View& x,
                    const View& y, bool accumulate) {
  each(at, y.columns, Product{a, channels, x, y, accumulate});
}

void sparse_matmul(const Place& at, const SparseFactor& of, const View& factors, const View& y) {
  each(at, y.columns, MatMul{of, factors, y});
}

void sparse_matmul_grad(const Place& at, const SparseFactor& of, const View& dz,
                        const View& factors, float* dw) {
  const Panels& p = of.w.panels;
  Place rows = at;
  rows.rows = static_cast<int>(of.narrow ? p.width() : p.rows);
  each(rows, static_cast<int>(of.narrow ? p.rows : p.width()),
       MatMulGrad{of, at.rows, dz, factors, dw});
}

void sparse_matmul_factors(const Place& at, const SparseFactor& of, const View& dz, const View& dx,
                           bool accumulate) {
  each(at, dx.columns, Factors{of, dz, dx, accumulate});
}

}  // namespace steep::cuda
