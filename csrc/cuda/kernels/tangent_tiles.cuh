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

}  // namespace steep::cuda
