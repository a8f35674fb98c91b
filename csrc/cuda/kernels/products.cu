// Products by weights and their gradients, and sums over the rows of a batch.
#include "activations/list.h"
#include "cuda/kernels/each.cuh"
#include "cuda/kernels/product.cuh"

namespace steep::cuda {

namespace {

using Relu = activations::ReLU;
constexpr int kRelu = index_of<Relu>(activations::All{});

template <bool kRelued> struct Biased {
  const float* bias;
  Dense y;
  bool aligned;
  Biased(const float* with, const Dense& to) : bias(with), y(to), aligned(cuda::aligned(to)) {}
  STEEP_HD float init(int, int n) const { return bias ? bias[n] : 0.0f; }
  STEEP_HD float* place(int m, int n) const { return y.row(m) + n; }
  STEEP_HD float value(int, int, float sum) const {
    return kRelued ? Relu::value<float>(sum, 0.0f) : sum;
  }
};
struct Added {
  Dense c;
  bool accumulate, aligned;
  Added(const Dense& to, bool add) : c(to), accumulate(add), aligned(cuda::aligned(to)) {}
  STEEP_HD float init(int m, int n) const { return accumulate ? c.row(m)[n] : 0.0f; }
  STEEP_HD float* place(int m, int n) const { return c.row(m) + n; }
  STEEP_HD float value(int, int, float sum) const { return sum; }
};
struct AddedReluGrad : Added {
  Dense stored;
  AddedReluGrad(const Dense& to, const Dense& of, bool add) : Added(to, add), stored(of) {}
  STEEP_HD float value(int m, int n, float sum) const {
    return Relu::grad<float>(sum, stored.row(m)[n], 0.0f);
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

// A sum over rows as the CPU has it: parts of 64 rows, four of them a stretch, then the stretches. Those come
// side by side.
template <bool kProduct>
__global__ void __launch_bounds__(512)
    sum_all_columns(int rows, View x, View y, float* out, bool accumulate) {
  constexpr int kColumns = 32, kParts = 4, kPart = 64, kStretches = 4;
  STEEP_SHARED(part, float[kStretches * kParts][kColumns]);
  const int lane = static_cast<int>(threadIdx.x) % kColumns;
  const int mine = static_cast<int>(threadIdx.x) / kColumns;
  const int c = static_cast<int>(blockIdx.x) * kColumns + lane;
  const bool there = c < x.columns;
  float total = there && accumulate ? out[c] : 0.0f;
  for (int first = 0; first < rows; first += kPart * kParts * kStretches) {
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
    for (int s = 0; mine == 0 && s < kStretches; ++s) {
      const int begin = first + kPart * kParts * s;
      if (begin >= rows) break;
      float stretch = 0;
      for (int p = 0; p < kParts && begin + kPart * p < rows; ++p)
        stretch += part[s * kParts + p][lane];
      total = accumulate || begin > 0 ? total + stretch : stretch;
    }
    __syncthreads();
  }
  if (mine == 0 && there) out[c] = total;
}

// Rows of parts in the CPU's order, 64 at a time, several such groups side by side; what a matrix has of padding
// stays 0.
constexpr int kGroups = 8;
__global__ void __launch_bounds__(32 * kGroups)
    sum_parts(View parts, int count, Weight g, Divisor by_columns, bool accumulate) {
  constexpr int kTogether = 64;
  STEEP_SHARED(sums, float[kGroups][32]);
  const int lane = static_cast<int>(threadIdx.x), group = static_cast<int>(threadIdx.y);
  const int i = static_cast<int>(blockIdx.x) * 32 + lane;
  const Divisor::Parts element = by_columns.of(i);
  const bool there = element.quotient < static_cast<int>(g.panels.rows);
  const long at = there ? in_panels(g.panels, element.quotient, element.rest) : 0;
  float total = 0;
  for (int first = 0; first < count; first += kTogether * kGroups) {
    const int from = first + kTogether * group;
    const int to = from + kTogether < count ? from + kTogether : count;
    float sum = 0;
    if (there) {
#pragma unroll 16
      for (int p = from; p < to; ++p) sum = sum + parts.data[p * parts.ld + at];
    }
    sums[group][lane] = sum;
    __syncthreads();
    for (int q = 0; group == 0 && q < kGroups && first + kTogether * q < count; ++q)
      total = total + sums[q][lane];
    __syncthreads();
  }
  if (!there || group != 0) return;
  g.data[at] = accumulate ? g.data[at] + total : total;
}

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
      relu ? run_product(fitting(at, w), sizes, a, b, Biased<true>{bias, out})
           : run_product(fitting(at, w), sizes, a, b, Biased<false>{bias, out});
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
  start(at.stream, dim3(blocks_of(g.panels.rows * g.panels.columns, 32)), dim3(32, kGroups),
        sum_parts, parts, count, g, Divisor(g.panels.columns), accumulate);
}

void column_sums(const Place& at, const View& x, const View& y, float* out, bool accumulate) {
  const dim3 grid(blocks_of(x.columns, 32)), block(512);
  y.data ? start(at.stream, grid, block, sum_all_columns<true>, at.rows, x, y, out, accumulate)
         : start(at.stream, grid, block, sum_all_columns<false>, at.rows, x, y, out, accumulate);
}

}  // namespace steep::cuda
