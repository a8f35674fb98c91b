// Products by weights and their gradients, and sums over the rows of a batch.
#include "activations/list.h"
#include "cuda/kernels/gemm.cuh"

namespace steep::cuda {

namespace {

using Relu = activations::ReLU;
constexpr int kRelu = index_of<Relu>(activations::All{});

struct Biased {
  const float* bias;
  View y;
  STEEP_HD float init(int, int n) const { return bias ? bias[n] : 0.0f; }
  STEEP_HD void store(int m, int n, float sum) const { y.data[m * y.ld + n] = sum; }
};
struct BiasedRelu {
  const float* bias;
  View y;
  STEEP_HD float init(int, int n) const { return bias ? bias[n] : 0.0f; }
  STEEP_HD void store(int m, int n, float sum) const {
    y.data[m * y.ld + n] = Relu::value<float>(sum, 0.0f);
  }
};
struct Added {
  View c;
  bool accumulate;
  STEEP_HD float init(int m, int n) const { return accumulate ? c.data[m * c.ld + n] : 0.0f; }
  STEEP_HD void store(int m, int n, float sum) const { c.data[m * c.ld + n] = sum; }
};
struct AddedReluGrad {
  View c, stored;
  bool accumulate;
  STEEP_HD float init(int m, int n) const { return accumulate ? c.data[m * c.ld + n] : 0.0f; }
  STEEP_HD void store(int m, int n, float sum) const {
    c.data[m * c.ld + n] = Relu::grad<float>(sum, stored.data[m * stored.ld + n], 0.0f);
  }
};
struct AddedPacked {
  Weight w;
  bool accumulate;
  STEEP_HD float init(int m, int n) const {
    return accumulate ? w.data[in_panels(w.panels, m, n)] : 0.0f;
  }
  STEEP_HD void store(int m, int n, float sum) const { w.data[in_panels(w.panels, m, n)] = sum; }
};

// Half a warp for each row and output, as the CPU's dot products: lane j takes columns j, j+16, ..., of
// the padding, too, which is 0.
__global__ void __launch_bounds__(256)
    dots(int rows, View x, Weight wt, const float* bias, View y) {
  const int lane = static_cast<int>(threadIdx.x) % kHalf;
  const int outputs = static_cast<int>(wt.panels.rows);
  const int pair = static_cast<int>((blockIdx.x * 256 + threadIdx.x) / kHalf);
  const bool there = pair < rows * outputs;
  const int r = there ? pair / outputs : 0, n = there ? pair % outputs : 0;
  float sum = 0;
  for (int c = lane; c < static_cast<int>(wt.panels.width()); c += kHalf) {
    const float in = c < x.columns ? x.data[r * x.ld + c] : 0.0f;
    sum = fma_(in, wt.data[in_panels(wt.panels, n, c)], sum);
  }
  sum = fold_lanes(sum);
  if (there && lane == 0) y.data[r * y.ld + n] = sum + (bias ? bias[n] : 0.0f);
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

}  // namespace

bool fuses(int f) { return f < 0 || f == kRelu; }

void matmul(const Place& at, const View& x, const Weight& w, const float* bias, int f, float alpha,
            const View& y, const View& z) {
  const int n = static_cast<int>(w.panels.columns), k = static_cast<int>(w.panels.rows);
  const RowMajor a{x.data, x.ld};
  const Packed b{w};
  if (f == kRelu && !z.data) {
    return run_gemm(at.stream, at.rows, n, k, a, b, BiasedRelu{bias, y});
  }
  const View& first = z.data ? z : y;
  run_gemm(at.stream, at.rows, n, k, a, b, Biased{bias, first});
  if (f >= 0) activate(at, f, alpha, first, y);
}

void matmul_narrow(const Place& at, const View& x, const Weight& wt, const float* bias,
                   const View& y) {
  const long threads = at.rows * wt.panels.rows * kHalf;
  start(at.stream, dim3(blocks_of(threads, 256)), dim3(256), dots, at.rows, x, wt, bias, y);
}

void matmul_grad(const Place& at, const View& dz, const Weight& w, bool narrow, bool accumulate,
                 int f, float alpha, const View& stored, const View& dx) {
  const RowMajor a{dz.data, dz.ld};
  const auto run = [&](const auto& b, const auto& epilogue) {
    run_gemm(at.stream, at.rows, dx.columns, dz.columns, a, b, epilogue);
  };
  const auto with = [&](const auto& epilogue) {
    narrow ? run(Packed{w}, epilogue) : run(PackedTurned{w}, epilogue);
  };
  if (f == kRelu) return with(AddedReluGrad{dx, stored, accumulate});
  with(Added{dx, accumulate});
  if (f >= 0) activate_grad(at, f, alpha, dx, stored, dx, false);
}

void matmul_grad_weight(const Place& at, const View& x, const View& dz, const Weight& dw,
                        bool narrow, bool accumulate, float* db) {
  const View &left = narrow ? dz : x, &right = narrow ? x : dz;
  const ColumnMajor a{left.data, left.ld};
  const Right b{right.data, right.ld};
  const AddedPacked e{dw, accumulate};
  if (db == nullptr) return run_gemm(at.stream, left.columns, right.columns, at.rows, a, b, e);
  run_gemm(at.stream, left.columns, right.columns, at.rows, a, b, e,
           Summed{at.rows, dz, db, false});
}

void column_sums(const Place& at, const View& x, const View& y, float* out, bool accumulate) {
  const dim3 grid(blocks_of(x.columns, 32)), block(128);
  y.data ? start(at.stream, grid, block, sum_all_columns<true>, at.rows, x, y, out, accumulate)
         : start(at.stream, grid, block, sum_all_columns<false>, at.rows, x, y, out, accumulate);
}

}  // namespace steep::cuda
