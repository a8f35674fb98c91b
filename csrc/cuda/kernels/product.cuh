// Which kernel makes a product, and in which tiles: exact ones, or tensor cores where the step goes by them.
#pragma once
#include "cuda/kernels/tensor.cuh"

namespace steep::cuda {

struct Sizes {
  int m, n, k;
  int products = 1;  // of these sizes
  long tiles(long side) const {
    return ((m + side - 1) / side) * ((n + side - 1) / side) * products;
  }
};

template <class Tile, class Kernel, class... Arguments>
void run_tiles(Kernel* kernel, cudaStream_t stream, const Sizes& s, bool sums,
               const Arguments&... arguments) {
  const dim3 grid(blocks_of(s.n, Tile::tn), blocks_of(s.m, Tile::tm) + (sums ? 1U : 0U),
                  static_cast<unsigned>(s.products));
  start(stream, grid, dim3(kThreads), kernel, s.m, s.n, s.k, arguments...);
}

// The largest tile of which there is about one for every multiprocessor of a large chip: which one
// changes no bit.
constexpr long kEnoughTiles = 100;

template <class A, class B, class Epilogue, class Sums>
void run_exact(cudaStream_t stream, const Sizes& s, const A& a, const B& b, const Epilogue& e,
               const Sums& sums) {
  const auto run = [&]<class Of>(const Of*) {
    run_tiles<Of>(gemm<Of, A, B, Epilogue, Sums>, stream, s, std::is_same_v<Sums, Summed>, a, b, e,
                  sums);
  };
  if (s.tiles(128) >= kEnoughTiles) return run(static_cast<Tile<128, 128, 8>*>(nullptr));
  if (s.tiles(64) >= kEnoughTiles) return run(static_cast<Tile<64, 64, 16>*>(nullptr));
  if (s.tiles(32) >= kEnoughTiles) return run(static_cast<Tile<32, 32, 32>*>(nullptr));
  run(static_cast<Tile<16, 16, 64>*>(nullptr));
}

template <class Format, class A, class B, class Epilogue, class Sums>
void run_tensor(cudaStream_t stream, const Sizes& s, const A& a, const B& b, const Epilogue& e,
                const Sums& sums) {
  const auto run = [&]<class Of>(const Of*) {
    run_tiles<Of>(gemm_tensor<Of, A, B, Epilogue, Sums>, stream, s, std::is_same_v<Sums, Summed>, a,
                  b, e, sums);
  };
  if (s.tiles(128) >= kEnoughTiles) {
    return run(static_cast<TensorTile<Format, 128, 128, 8>*>(nullptr));
  }
  if (s.tiles(64) >= kEnoughTiles) {
    return run(static_cast<TensorTile<Format, 64, 64, 16>*>(nullptr));
  }
  run(static_cast<TensorTile<Format, 32, 32, 32>*>(nullptr));
}

template <class A, class B, class Epilogue, class Sums = NothingSummed>
void run_product(const Place& at, const Sizes& s, const A& a, const B& b, const Epilogue& e,
                 const Sums& sums = {}) {
  switch (at.products) {
    case Products::Exact: return run_exact(at.stream, s, a, b, e, sums);
    case Products::TF32: return run_tensor<TF32>(at.stream, s, a, b, e, sums);
    case Products::BFloat16: return run_tensor<BFloat16>(at.stream, s, a, b, e, sums);
  }
}

}  // namespace steep::cuda
