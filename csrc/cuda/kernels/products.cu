// Products by weights and their gradients, and sums over the rows of a batch.
#include "activations/list.h"
#include "cuda/kernels/each.cuh"
#include "cuda/kernels/product.cuh"

namespace steep::cuda {

namespace {

using Relu = activations::ReLU;
constexpr int kRelu = index_of<Relu>(activations::All{});

struct Biased {
  const float* bias;
  Dense y;
  STEEP_HD float init(int, int n) const { return bias ? bias[n] : 0.0f; }
  STEEP_HD void store(int m, int n, float sum) const { y.row(m)[n] = sum; }
};
struct BiasedRelu {
  const float* bias;
  Dense y;
  STEEP_HD float init(int, int n) const { return bias ? bias[n] : 0.0f; }
  STEEP_HD void store(int m, int n, float sum) const {
    y.row(m)[n] = Relu::value<float>(sum, 0.0f);
  }
};
struct Added {
  Dense c;
  bool accumulate;
  STEEP_HD float init(int m, int n) const { return accumulate ? c.row(m)[n] : 0.0f; }
  STEEP_HD void store(int m, int n, float sum) const { c.row(m)[n] = sum; }
};
struct AddedReluGrad {
  Dense c, stored;
  bool accumulate;
  STEEP_HD float init(int m, int n) const { return accumulate ? c.row(m)[n] : 0.0f; }
  STEEP_HD void store(int m, int n, float sum) const {
    c.row(m)[n] = Relu::grad<float>(sum, stored.row(m)[n], 0.0f);
  }
};

// Half a warp for each row and output, as the CPU's dot products: lane j takes columns j, j+16, ..., of
// the padding, too, which is 0.
__global__ void __launch_bounds__(256)
    dots(int rows, Dense x, Weight wt, const float* bias, bool accumulate, Dense y) {
  const int lane = static_cast<int>(threadIdx.x) % kHalf;
  const int outputs = static_cast<int>(wt.panels.rows);
  const int pair = static_cast<int>((blockIdx.x * 256 + threadIdx.x) / kHalf);
  const bool there = pair < rows * outputs;
  const int r = there ? pair / outputs : 0, n = there ? pair % outputs : 0;
  const float* const from = x.row(r);
  float sum = 0;
  for (int c = lane; c < static_cast<int>(wt.panels.width()); c += kHalf) {
    const float in = c < x.width ? from[c] : 0.0f;
    sum = fma_(in, wt.data[in_panels(wt.panels, n, c)], sum);
  }
  sum = fold_lanes(sum);
  if (!there || lane != 0) return;
  float* const to = y.row(r) + n;
  *to = sum + (accumulate ? *to : bias ? bias[n] : 0.0f);
}

// A sum over rows as the CPU has it: parts of 64 rows, four of them a stretch, then the stretches.
template <bool kProduct>
__global__ void __launch_bounds__(128)
    sum_all_columns(int rows, View x, View y, float* out, bool accumulate) {
  constexpr int kColumns = 32, kParts = 4, kPart = 64;
  STEEP_SHARED(part, float[kParts][kColumns]);
  const int lane = static_cast<int>(threadIdx.x) % kColumns;
  const int mine = static_cast<int>(threadIdx.x) / kColumns;
  const int c = static_cast<int>(blockIdx.x) * kColumns + lane;
  const bool there = c < x.columns;
  float total = there && accumulate ? out[c] : 0.0f;
  for (int first = 0; first < rows; first += kPart * kParts) {
    const int from = first + kPart * mine, to = from + kPart < rows ? from + kPart : rows;
    float sum = 0;
    if (there) {
#pragma unroll 16
      for (int r = from; r < to; ++r) {
        const float a = x.data[r * x.ld + c];
        if constexpr (kProduct)
          sum = fma_(a, y.data[r * y.ld + c], sum);
        else
          sum = sum + a;
      }
    }
    part[mine][lane] = sum;
    __syncthreads();
    float stretch = 0;
    for (int p = 0; p < kParts && first + kPart * p < rows; ++p) stretch += part[p][lane];
    total = accumulate || first > 0 ? total + stretch : stretch;
    __syncthreads();
  }
  if (mine == 0 && there) out[c] = total;
}

// Rows of parts in the CPU's order, 64 at a time; what a matrix has of padding stays 0.
struct Parts {
  View parts;
  int count;
  Weight g;
  bool accumulate;
  STEEP_HD void operator()(int r, int c) const {
    constexpr int kTogether = 64;
    const long at = in_panels(g.panels, r, c);
    float total = 0;
    for (int first = 0; first < count; first += kTogether) {
      const int end = first + kTogether < count ? first + kTogether : count;
      float sum = 0;
      for (int i = first; i < end; ++i) sum = sum + parts.data[i * parts.ld + at];
      total = total + sum;
    }
    g.data[at] = accumulate ? g.data[at] + total : total;
  }
};

void dot_products(const Place& at, const View& x, const Factor& w, const float* bias,
                  bool accumulate, const View& y) {
  const int rows = at.rows * w.positions;
  const long threads = rows * w.w.panels.rows * kHalf;
  start(at.stream, dim3(blocks_of(threads, 256)), dim3(256), dots, rows, dense(x, w.positions), w.w,
        bias, accumulate, dense(y, w.positions));
}

// A few outputs would fill a corner of a fragment: they stay exact.
Place fitting(Place at, const Factor& w) {
  if (w.narrow) at.products = Products::Exact;
  return at;
}

// Calls f with W as it is met here, or with W^T.
template <class F> void with_operand(const Factor& w, bool turned, const F& f) {
  turned && !w.narrow ? f(PackedTurned{w.w}) : f(Packed{w.w});
}

}  // namespace

void matmul(const Place& at, const View& x, const Factor& w, const float* bias, const Function& f,
            const View& y, const View& z) {
  const View& first = z.data ? z : y;
  if (w.narrow && !w.turned) {
    dot_products(at, x, w, bias, false, first);
  } else {
    const bool relu = f.f == kRelu && !z.data;
    const RowMajor a{dense(x, w.positions)};
    const Dense out = dense(first, w.positions);
    const Sizes sizes{at.rows * w.positions, out.width, a.x.width};
    with_operand(w, w.turned, [&](const auto& b) {
      relu ? run_product(fitting(at, w), sizes, a, b, BiasedRelu{bias, out})
           : run_product(fitting(at, w), sizes, a, b, Biased{bias, out});
    });
    if (relu) return;
  }
  if (f.f >= 0) activate(at, f.f, f.alpha, first, y);
}

void matmul_grad(const Place& at, const View& dz, const Factor& w, bool accumulate,
                 const Function& f, const View& stored, const View& dx) {
  const bool relu = f.f == kRelu && !(w.narrow && w.turned);
  if (w.narrow && w.turned) {
    dot_products(at, dz, w, nullptr, accumulate, dx);
  } else {
    const RowMajor a{dense(dz, w.positions)};
    const Dense out = dense(dx, w.positions);
    const Sizes sizes{at.rows * w.positions, out.width, a.x.width};
    with_operand(w, !w.turned, [&](const auto& b) {
      relu ? run_product(fitting(at, w), sizes, a, b,
                         AddedReluGrad{out, dense(stored, w.positions), accumulate})
           : run_product(fitting(at, w), sizes, a, b, Added{out, accumulate});
    });
  }
  if (f.f >= 0 && !relu) activate_grad(at, f.f, f.alpha, dx, stored, dx, false);
}

void matmul_grad_weight(const Place& at, const View& x, const View& dz, const Factor& dw,
                        bool accumulate, float* db) {
  const View &left = dw.narrow ? dz : x, &right = dw.narrow ? x : dz;
  const ColumnMajor a{dense(left, dw.positions)};
  const Right b{dense(right, dw.positions)};
  const AddedPacked e{dw.w, accumulate};
  const Sizes sizes{a.x.width, b.x.width, at.rows * dw.positions};
  if (db == nullptr) return run_product(fitting(at, dw), sizes, a, b, e);
  run_product(fitting(at, dw), sizes, a, b, e, Summed{at.rows, dz, db, false});
}

void add_parts(const Place& at, const View& parts, int count, const Weight& g, bool accumulate) {
  Place rows = at;
  rows.rows = static_cast<int>(g.panels.rows);
  each(rows, static_cast<int>(g.panels.columns), Parts{parts, count, g, accumulate});
}

void column_sums(const Place& at, const View& x, const View& y, float* out, bool accumulate) {
  const dim3 grid(blocks_of(x.columns, 32)), block(128);
  y.data ? start(at.stream, grid, block, sum_all_columns<true>, at.rows, x, y, out, accumulate)
         : start(at.stream, grid, block, sum_all_columns<false>, at.rows, x, y, out, accumulate);
}

}  // namespace steep::cuda
