// Which kernel makes a product, and in which tiles: exact ones, or tensor cores where the step goes by them.
#pragma once
#include "cuda/kernels/operands.cuh"
#include "cuda/kernels/tensor.cuh"

namespace steep::cuda {

struct Sizes {
  int m, n, k;
  int products = 1;  // of these sizes
  template <class Tile> long tiles() const {
    return ((m + Tile::tm - 1L) / Tile::tm) * ((n + Tile::tn - 1L) / Tile::tn) * products;
  }
};

template <class Tile, class Kernel, class... Arguments>
void run_tiles(Kernel* kernel, cudaStream_t stream, const Sizes& s, bool sums,
               const Arguments&... arguments) {
  const dim3 grid(blocks_of(s.n, Tile::tn), blocks_of(s.m, Tile::tm) + (sums ? 1U : 0U),
                  static_cast<unsigned>(s.products));
  start(stream, grid, dim3(Tile::threads), kernel, s.m, s.n, s.k, arguments...);
}

// Calls run with the first tile of which there are enough for all multiprocessors of a large chip, or with the
// last one: which one changes no bit.
constexpr long kEnoughTiles = 120;
template <class Last, class... More, class Run> void with_tile(const Sizes& s, const Run& run) {
  if constexpr (sizeof...(More) == 0) {
    run(static_cast<Last*>(nullptr));
  } else {
    if (s.tiles<Last>() >= kEnoughTiles) return run(static_cast<Last*>(nullptr));
    with_tile<More...>(s, run);
  }
}

template <class A, class B, class Epilogue, class Sums>
void run_exact(cudaStream_t stream, const Sizes& s, const A& a, const B& b, const Epilogue& e,
               const Sums& sums) {
  const auto run = [&]<class Of>(const Of*) {
    run_tiles<Of>(gemm<Of, A, B, Epilogue, Sums>, stream, s, kSums<Sums>, a, b, e, sums);
  };
  // A tile of 32 columns keeps a multiprocessor's units busy by itself; the small one is as short a chain as
  // its reads allow.
  using Middle = Tile<32, 32, 32, 2, 4>;
  using Small = Tile<16, 16, 64, 2, 2>;
  if (s.n <= 16) return with_tile<Tile<128, 16, 32, 4, 2>, Small>(s, run);
  if (s.n <= 32) return with_tile<Tile<128, 32, 16, 4, 4>, Middle, Small>(s, run);
  with_tile<Tile<128, 128, 8, 8, 8>, Tile<64, 64, 16, 4, 4>, Middle, Small>(s, run);
}

template <class Format, class A, class B, class Epilogue, class Sums>
void run_tensor(cudaStream_t stream, const Sizes& s, const A& a, const B& b, const Epilogue& e,
                const Sums& sums) {
  const auto run = [&]<class Of>(const Of*) {
    run_tiles<Of>(gemm_tensor<Of, A, B, Epilogue, Sums>, stream, s, kSums<Sums>, a, b, e, sums);
  };
  using F = Format;
  using Small = TensorTile<F, 32, 32, 32, 4>;
  if (s.n <= 16) {
    return with_tile<TensorTile<F, 128, 16, 16, 1>, TensorTile<F, 64, 16, 32, 2>>(s, run);
  }
  if (s.n <= 32) return with_tile<TensorTile<F, 128, 32, 16, 1>, Small>(s, run);
  if (s.n <= 64)
    return with_tile<TensorTile<F, 128, 64, 16, 2>, TensorTile<F, 64, 64, 16, 4>, Small>(s, run);
  with_tile<TensorTile<F, 128, 128, 8, 4>, TensorTile<F, 64, 64, 16, 4>, Small>(s, run);
}

template <class A, class B, class Epilogue, class Sums>
void run_floats(const Place& at, const Sizes& s, const A& a, const B& b, const Epilogue& e,
                const Sums& sums) {
  switch (at.products) {
    case Products::Exact: return run_exact(at.stream, s, a, b, e, sums);
    case Products::TF32: return run_tensor<TF32>(at.stream, s, a, b, e, sums);
    case Products::BFloat16: return run_tensor<BFloat16>(at.stream, s, a, b, e, sums);
  }
}

// Tensors of bfloat16 are there in the mode of that name only; what stays exact there asks for run_exact.
template <class A, class B, class Epilogue, class Sums = NothingSummed>
void run_product(const Place& at, const Sizes& s, const A& a, const B& b, const Epilogue& e,
                 const Sums& sums = {}) {
  if constexpr (kSomeBrains<A, B, Epilogue>) {
    run_tensor<BFloat16>(at.stream, s, a, b, e, sums);
  } else {
    run_floats(at, s, a, b, e, sums);
  }
}

}  // namespace steep::cuda
