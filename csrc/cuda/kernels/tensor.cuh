// The product of gemm.cuh on tensor cores, from the same operands and epilogues: operands are rounded on their way
// into shared memory, to TF32 or bfloat16, sums are float32, in steps of 8 words of k one after the other.
#pragma once
#include "cuda/kernels/gemm.cuh"
#if !defined(__CUDACC__)
#include "cuda/emulation/tensor_cores.h"
#endif

namespace steep::cuda {

struct TF32 {
  static constexpr int kNumbers = 1;  // of a word
  using Numbers = float[kNumbers];
  static __device__ __forceinline__ uint32_t word(const Numbers& x) {
#if defined(__CUDACC__)
    uint32_t bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x[0]));
    return bits;
#else
    return emulation::rounded_tf32(x[0]);
#endif
  }
  static __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4],
                                                  const uint32_t (&b)[2]) {
#if defined(__CUDACC__)
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    emulation::multiply_fragments<kNumbers>(d, a, b, {__FILE__, __LINE__});
#endif
  }
};

struct BFloat16 {
  static constexpr int kNumbers = 2;
  using Numbers = float[kNumbers];
  static __device__ __forceinline__ uint32_t word(const Numbers& x) {
#if defined(__CUDACC__)
    uint32_t bits;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(x[1]), "f"(x[0]));
    return bits;
#else
    return emulation::rounded_bf16(x[1]) << 16 | emulation::rounded_bf16(x[0]);
#endif
  }
  static __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4],
                                                  const uint32_t (&b)[2]) {
#if defined(__CUDACC__)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    emulation::multiply_fragments<kNumbers>(d, a, b, {__FILE__, __LINE__});
#endif
  }
};

// Eight warps, two by four.
template <class F, int TM, int TN, int TW> struct TensorTile {
  using Format = F;
  static constexpr int tm = TM, tn = TN, words = TW, tk = TW * F::kNumbers;
  static constexpr int wm = TM / 2, wn = TN / 4;   // of a warp,
  static constexpr int rm = wm / 16, rn = wn / 8;  // in fragments
  static_assert(rm * 16 == wm && rn * 8 == wn && TW % 8 == 0);
  // Four more: the eight rows of a fragment are on different banks.
  alignas(16) uint32_t a[2][TM][TW + 4];
  alignas(16) uint32_t b[2][TN][TW + 4];
};

// What a lane has of a tile: rows g and g + 8 of fragments, or columns; words t and t + 4.
template <class Tile> struct Fragments {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int g = lane / 4, t = lane % 4;
  const int row = warp / 4 * Tile::wm + g, column = warp % 4 * Tile::wn;
  float sum[Tile::rm][Tile::rn][4];

  // f(row, column, sum) of each, within the tile
  template <class F> __device__ __forceinline__ void each(const F& f) {
#pragma unroll
    for (int i = 0; i < Tile::rm; ++i)
#pragma unroll
      for (int j = 0; j < Tile::rn; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          f(row + 16 * i + 8 * (e / 2), column + 8 * j + 2 * t + e % 2, sum[i][j][e]);
  }
  __device__ __forceinline__ void add(const Tile& s, int turn, int w) {  // eight words from w on
    uint32_t a[Tile::rm][4], b[Tile::rn][2];
#pragma unroll
    for (int i = 0; i < Tile::rm; ++i)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        a[i][e] = s.a[turn][row + 16 * i + 8 * (e % 2)][w + t + 4 * (e / 2)];
#pragma unroll
    for (int j = 0; j < Tile::rn; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e) b[j][e] = s.b[turn][column + 8 * j + g][w + t + 4 * e];
#pragma unroll
    for (int i = 0; i < Tile::rm; ++i)
#pragma unroll
      for (int j = 0; j < Tile::rn; ++j) Tile::Format::multiply(sum[i][j], a[i], b[j]);
  }
};

template <class Tile, class A, class B, class Epilogue, class Sums>
__global__ void __launch_bounds__(kThreads)
    gemm_tensor(int m, int n, int all_k, A all_a, B all_b, Epilogue all_epilogue, Sums sums) {
  const A a = part_of(all_a);
  const B b = part_of(all_b);
  const Epilogue epilogue = part_of(all_epilogue);
  const int k = depth_of(a, all_k);
  STEEP_SHARED(s, Tile);
  const int thread = static_cast<int>(threadIdx.x);
  const int m0 = static_cast<int>(blockIdx.y) * Tile::tm;
  const int n0 = static_cast<int>(blockIdx.x) * Tile::tn;
  if (summed_beside(sums, n0, Tile::tn)) return;
  using Format = typename Tile::Format;
  Ahead<A, Tile::tm, Tile::words, Format::kNumbers> left(a, thread, m0, m, k);
  Ahead<B, Tile::tn, Tile::words, Format::kNumbers> right(b, thread, n0, n, k);
  const auto load = [&]<int kTurn>(int k0) {
    left.template load<kTurn>(k0);
    right.template load<kTurn>(k0);
  };
  load.template operator()<0>(0);
  load.template operator()<1>(Tile::tk);
  Fragments<Tile> mine;
  mine.each([&](int r, int c, float& sum) {
    sum = m0 + r < m && n0 + c < n ? epilogue.init(m0 + r, n0 + c) : 0.0f;
  });
  const auto tile = [&]<int kTurn>(int k0) {
    const auto put = [](const typename Format::Numbers& x) { return Format::word(x); };
    left.template store<kTurn>(s.a[kTurn], put);
    right.template store<kTurn>(s.b[kTurn], put);
    __syncthreads();  // once a tile: the other half is free since the last one
    load.template operator()<kTurn>(k0 + 2 * Tile::tk);
#pragma unroll
    for (int w = 0; w < Tile::words; w += 8) mine.add(s, kTurn, w);
  };
  for (int k0 = 0; k0 < k; k0 += 2 * Tile::tk) {
    tile.template operator()<0>(k0);
    if (k0 + Tile::tk < k) tile.template operator()<1>(k0 + Tile::tk);
  }
  mine.each([&](int r, int c, float sum) {
    if (m0 + r < m && n0 + c < n) epilogue.store(m0 + r, n0 + c, sum);
  });
}

}  // namespace steep::cuda
