// The power method on packed weights, and the division of a product by what it finds, in the order of the CPU's
// sums: sixteen lanes, then a fixed tree.
#include "cuda/kernels/each.cuh"
#include "cuda/kernels/images.h"

namespace steep::cuda {

namespace {

constexpr int kThreads = 256;

// Half a warp a sum: lane j has elements j, j + 16, ...
template <class Value> __device__ float folded(int n, const Value& value) {
  const int lane = static_cast<int>(threadIdx.x) % kHalf;
  float sum = 0;
  for (int c = lane; c < n; c += kHalf) sum = value(c, sum);
  return fold_lanes(sum);
}

// y = M x in rows, or M^T x in columns, of a matrix in panels.
__device__ void by_rows(const Weight& w, const float* x, float* y) {
  const int rows = static_cast<int>(w.panels.rows), columns = static_cast<int>(w.panels.columns);
  for (int first = 0; first < rows; first += kThreads / kHalf) {
    const int r = first + static_cast<int>(threadIdx.x) / kHalf;
    const float sum = folded(r < rows ? columns : 0, [&](int c, float s) {
      return fma_(w.data[w.panels.at(r, c)], x[c], s);
    });
    if (r < rows && threadIdx.x % kHalf == 0) y[r] = sum;
  }
  __syncthreads();
}
__device__ void by_columns(const Weight& w, const float* x, float* y) {
  for (int c = static_cast<int>(threadIdx.x); c < static_cast<int>(w.panels.columns);
       c += kThreads) {
    float sum = 0;
    for (int r = 0; r < static_cast<int>(w.panels.rows); ++r)
      sum = fma_(w.data[w.panels.at(r, c)], x[r], sum);
    y[c] = sum;
  }
  __syncthreads();
}

// Makes x of length 1 and returns what that was; what is nearly 0 stays so. Every half warp finds the length.
__device__ float normalize(float* x, int n) {
  const float length = sqrt_(folded(n, [&](int c, float s) { return fma_(x[c], x[c], s); }));
  const float most = length < 1e-12f ? 1e-12f : length, scale = 1.0f / most;
  __syncthreads();
  for (int c = static_cast<int>(threadIdx.x); c < n; c += kThreads) x[c] = x[c] * scale;
  __syncthreads();
  return most;
}

__global__ void __launch_bounds__(kThreads)
    power_method(Singular of, const float* start_u, View vectors) {
  float *const u = vectors.data, *const v = u + of.v;
  for (int c = static_cast<int>(threadIdx.x); c < of.outputs; c += kThreads) u[c] = start_u[c];
  __syncthreads();
  float sigma = 1;
  for (int k = 0; k < of.iterations; ++k) {
    of.narrow ? by_columns(of.w, u, v) : by_rows(of.w, u, v);
    normalize(v, of.inputs);
    of.narrow ? by_rows(of.w, v, u) : by_columns(of.w, v, u);
    sigma = normalize(u, of.outputs);  // |W^T v| is v^T W u of the new u
  }
  if (threadIdx.x == 0) u[of.inverse] = 1.0f / sigma;
}

struct Divided {
  Singular of;
  View x, vectors;
  const float* bias;
  STEEP_HD float operator()(int r, int c) const {
    const float scale = vectors.data[of.inverse], in = at(x, r, c);
    return bias ? fma_(in, scale, bias[c % of.outputs]) : in * scale;
  }
};

// Half a warp a row.
__global__ void __launch_bounds__(64)
    shares(int rows, Singular of, View dy, View x, View vectors, View out) {
  const Part at(rows, 1, x.columns);
  const float *const up = at.of(dy), *const in = at.of(x);
  const float dot = folded(at.columns, [&](int c, float s) { return fma_(up[c], in[c], s); });
  if (!at.there) return;
  const float scale = vectors.data[of.inverse], share = -dot * scale * scale;
  for (int c = at.lane; c < out.columns; c += kHalf)
    out.data[at.r * out.ld + c] = share * vectors.data[of.v + c];
}

struct Keep {
  Now now;
  View vectors;
  float* u;
  __device__ __forceinline__ void operator()(int, int c) const {
    if (!stopped(now, true)) u[c] = vectors.data[c];
  }
};

}  // namespace

void singular_vectors(const Place& at, const Singular& of, const float* u, const View& vectors) {
  start(at.stream, dim3(1), dim3(kThreads), power_method, of, u, vectors);
}

void singular_scale(const Place& at, const Singular& of, const View& x, const View& vectors,
                    const float* bias, const View& y, bool accumulate) {
  write_each(at, y, accumulate, Divided{of, x, vectors, bias});
}

void singular_shares(const Place& at, const Singular& of, const View& dy, const View& x,
                     const View& vectors, const View& out) {
  start(at.stream, dim3(blocks_of(at.rows, 64 / kHalf)), dim3(64), shares, at.rows, of, dy, x,
        vectors, out);
}

void keep_vector(const Place& at, const View& vectors, float* u, int outputs) {
  Place one = at;
  one.rows = 1;
  each(one, outputs, Keep{at.now, vectors, u});
}

}  // namespace steep::cuda
