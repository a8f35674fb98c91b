// Products by weights and their gradients, and sums over the rows of a batch.
#include "activations/list.h"
#include "cuda/kernels/each.cuh"
#include "cuda/kernels/product.cuh"

namespace steep::cuda {

namespace {

using Relu = activations::ReLU;
constexpr int kRelu = index_of<Relu>(activations::All{});

template <bool kRelued, class T> struct Biased {
  using Number = T;
  const float* bias;
  Dense<T> y;
  bool aligned;
  Biased(const float* with, const Dense<T>& to) : bias(with), y(to), aligned(cuda::aligned(to)) {}
  STEEP_HD float init(int, int n) const { return bias ? bias[n] : 0.0f; }
  STEEP_HD T* place(int m, int n) const { return y.row(m) + n; }
  STEEP_HD float value(int, int, float sum) const {
    return kRelued ? Relu::value<float>(sum, 0.0f) : sum;
  }
};
template <class T> struct Added {
  using Number = T;
  Dense<T> c;
  bool accumulate, aligned;
  Added(const Dense<T>& to, bool add) : c(to), accumulate(add), aligned(cuda::aligned(to)) {}
  STEEP_HD float init(int m, int n) const { return accumulate ? widened(c.row(m)[n]) : 0.0f; }
  STEEP_HD T* place(int m, int n) const { return c.row(m) + n; }
  STEEP_HD float value(int, int, float sum) const { return sum; }
};
template <class T> struct AddedReluGrad : Added<T> {
  Dense<T> stored;
  AddedReluGrad(const Dense<T>& to, const Dense<T>& of, bool add) : Added<T>(to, add), stored(of) {}
  STEEP_HD float value(int m, int n, float sum) const {
    return Relu::grad<float>(sum, widened(stored.row(m)[n]), 0.0f);
  }
};

// Half a warp for each row and output, as the CPU's dot products: lane j takes columns j, j+16, ..., of
// the padding, too, which is 0.
template <class T>
__global__ void __launch_bounds__(256)
    dots(int rows, Dense<T> x, Weight wt, const float* bias, bool accumulate, Dense<float> y) {
  const int lane = static_cast<int>(threadIdx.x) % kHalf;
  const int outputs = static_cast<int>(wt.panels.rows);
  const int pair = static_cast<int>((blockIdx.x * 256 + threadIdx.x) / kHalf);
  const bool there = pair < rows * outputs;
  const int r = there ? pair / outputs : 0, n = there ? pair % outputs : 0;
  const T* const from = x.row(r);
  float sum = 0;
  for (int c = lane; c < static_cast<int>(wt.panels.width()); c += kHalf) {
    const float in = c < x.width ? widened(from[c]) : 0.0f;
    sum = fma_(in, wt.data[in_panels(wt.panels, n, c)], sum);
  }
  sum = fold_lanes(sum);
  if (!there || lane != 0) return;
  float* const to = y.row(r) + n;
  *to = sum + (accumulate ? *to : bias ? bias[n] : 0.0f);
}

// A sum over rows as the CPU has it: parts of 64 rows, four of them a stretch, then the stretches. Those come
// side by side.
template <bool kProduct, class By>
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
        const float a = By::get(x, r * x.ld + c);
        if constexpr (kProduct)
          sum = fma_(a, By::get(y, r * y.ld + c), sum);
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
  const dim3 grid(blocks_of(rows * w.w.panels.rows * kHalf, 256));
  with_number(x, [&]<class T>(T) {
    start(at.stream, grid, dim3(256), dots<T>, rows, dense<T>(x, w.positions), w.w, bias,
          accumulate, dense(y, w.positions));
  });
}

// By W as it is met here, or W^T. A few columns would fill a corner of a fragment: they stay exact, and are floats.
template <class Epilogue> void multiply(const Place& at, const View& x, const Factor& w,
                                        bool turned, int outputs, const Epilogue& e) {
  const Sizes sizes{at.rows * w.positions, outputs, x.columns / w.positions};
  if (w.narrow) {
    const RowMajor a{dense(x, w.positions)};
    return run_exact(at.stream, sizes, a, Packed{w.w}, e, NothingSummed{});
  }
  with_number(x, [&]<class T>(T) {
    const RowMajor a{dense<T>(x, w.positions)};
    turned ? run_product(at, sizes, a, PackedTurned{w.w}, e)
           : run_product(at, sizes, a, Packed{w.w}, e);
  });
}

}  // namespace

void matmul(const Place& at, const View& x, const Factor& w, const float* bias, const Function& f,
            const View& y, const View& z) {
  const View& first = z.data ? z : y;
  const bool few = w.narrow && !w.turned, relu = f.f == kRelu && !z.data && !few;
  if (few) {
    dot_products(at, x, w, bias, false, first);
  } else {
    with_number(first, [&]<class T>(T) {
      const Dense<T> out = dense<T>(first, w.positions);
      relu ? multiply(at, x, w, w.turned, out.width, Biased<true, T>{bias, out})
           : multiply(at, x, w, w.turned, out.width, Biased<false, T>{bias, out});
    });
  }
  if (f.f >= 0 && !relu) activate(at, f.f, f.alpha, first, y);
}

void matmul_grad(const Place& at, const View& dz, const Factor& w, bool accumulate,
                 const Function& f, const View& stored, const View& dx) {
  const bool few = w.narrow && w.turned, relu = f.f == kRelu && !few;
  if (few) {
    dot_products(at, dz, w, nullptr, accumulate, dx);
  } else {
    with_number(dx, [&]<class T>(T) {
      const Dense<T> out = dense<T>(dx, w.positions);
      relu ? multiply(at, dz, w, !w.turned, out.width,
                      AddedReluGrad<T>{out, dense<T>(stored, w.positions), accumulate})
           : multiply(at, dz, w, !w.turned, out.width, Added<T>{out, accumulate});
    });
  }
  if (f.f >= 0 && !relu) activate_grad(at, f.f, f.alpha, dx, stored, dx, false);
}

namespace {

// Of operands as they are: dw (+)= a b, and the sums of dz over the rows.
template <class Number, class Run>
void with_sums(const Place& at, const View& dz, float* db, const Run& run) {
  db ? run(Summed<Number>{at.rows, dz, db, false}) : run(NothingSummed{});
}

}  // namespace

void matmul_grad_weight(const Place& at, const View& x, const View& dz, const Factor& dw,
                        bool accumulate, float* db) {
  const AddedPacked e{dw.w, accumulate};
  const int inputs = x.columns / dw.positions, outputs = dz.columns / dw.positions;
  const int rows = at.rows * dw.positions;
  with_number(x, [&]<class T>(T) {
    const ColumnMajor of_x{dense<T>(x, dw.positions)};
    if (dw.narrow) {  // exact, of floats
      const ColumnMajor a{dense(dz, dw.positions)};
      return with_sums<float>(at, dz, db, [&](const auto& sums) {
        run_exact(at.stream, {outputs, inputs, rows}, a, as_floats(of_x), e, sums);
      });
    }
    with_number(dz, [&]<class Z>(Z) {
      const ColumnMajor b{dense<Z>(dz, dw.positions)};
      with_sums<Z>(at, dz, db, [&](const auto& sums) {
        run_product(at, {inputs, outputs, rows}, of_x, b, e, sums);
      });
    });
  });
}

void add_parts(const Place& at, const View& parts, int count, const Weight& g, bool accumulate) {
  start(at.stream, dim3(blocks_of(g.panels.rows * g.panels.columns, 32)), dim3(32, kGroups),
        sum_parts, parts, count, g, Divisor(g.panels.columns), accumulate);
}

void column_sums(const Place& at, const View& x, const View& y, float* out, bool accumulate) {
  const dim3 grid(blocks_of(x.columns, 32)), block(512);
  with_storage(
      [&]<class By>(By) {
        start(at.stream, grid, block,
              y.data ? sum_all_columns<true, By> : sum_all_columns<false, By>, at.rows, x, y, out,
              accumulate);
      },
      x, y);
}

}  // namespace steep::cuda
