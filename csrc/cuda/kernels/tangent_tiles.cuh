// Factors of products in dual numbers by tiles in shared memory. Comes first, as tangent.cuh does; no kernel lives here.
#pragma once
#include "cuda/kernels/tangent.cuh"

namespace steep::cuda {

constexpr int kTile = 16;

// Rows of the tile are m or n, of `all` in all, its columns k, up to `depth`.
template <class Of>
__device__ __forceinline__ void bring(const Of& of, int first, int all, int k, int depth,
                                      DualNumber (*to)[kTile + 1]) {
  const int fast = static_cast<int>(threadIdx.x) % kTile;
  const int slow = static_cast<int>(threadIdx.x) / kTile;
  const int line = Of::kFastK ? slow : fast, j = Of::kFastK ? fast : slow;
  const bool there = first + line < all && k + j < depth;
  put(&to[line][j], there ? of(first + line, k + j) : Dual(0));
}

// What a thread of a tile finds an element of.
struct Spot {
  int first_row, first_column, row, column;
  __device__ __forceinline__ Spot()
      : first_row(static_cast<int>(blockIdx.x) * kTile),
        first_column(static_cast<int>(blockIdx.y) * kTile),
        row(first_row + static_cast<int>(threadIdx.x) / kTile),
        column(first_column + static_cast<int>(threadIdx.x) % kTile) {}
  // sum + a b of (m, depth) and (n, depth), k ascending; all threads come.
  template <class A, class B>
  __device__ __forceinline__ Dual meet(const A& a, int m, const B& b, int n, int depth,
                                       DualNumber (*left)[kTile + 1],
                                       DualNumber (*right)[kTile + 1], Dual sum) const {
    for (int k = 0; k < depth; k += kTile) {
      bring(a, first_row, m, k, depth, left);
      bring(b, first_column, n, k, depth, right);
      __syncthreads();
      const int count = depth - k < kTile ? depth - k : kTile;
      for (int j = 0; j < count; ++j)
        sum = fma_(get(&left[row - first_row][j]), get(&right[column - first_column][j]), sum);
      __syncthreads();
    }
    return sum;
  }
};

}  // namespace steep::cuda
