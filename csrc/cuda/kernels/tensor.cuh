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
    return rounded_pair(x[0], x[1]);
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

// Eight warps, WX of them side by side.
template <class F, int TM, int TN, int TW, int WX> struct TensorTile {
  using Format = F;
  static constexpr int threads = 256, warps_across = WX;
  static constexpr int together = F::kNumbers;
  static constexpr bool by_rows = true;
  static constexpr int tm = TM, tn = TN, words = TW, tk = TW * F::kNumbers;
  static constexpr int wm = TM / (8 / WX), wn = TN / WX;  // of a warp,
  static constexpr int rm = wm / 16, rn = wn / 8;         // in fragments
  static_assert(rm > 0 && rm * 16 == wm && rn > 0 && rn * 8 == wn && TW % 8 == 0);
  // Four more: the eight rows of a fragment are on different banks.
  alignas(16) uint32_t a[2][TM][TW + 4];
  alignas(16) uint32_t b[2][TN][TW + 4];

  template <class Side>
  static __device__ __forceinline__ void put_depths(Side& to, int side, int k, const Four& x) {
    constexpr int kWords = 4 / F::kNumbers;
    struct alignas(4 * kWords) Run { uint32_t of[kWords]; };
    Run run;
#pragma unroll
    for (int w = 0; w < kWords; ++w) {
      typename F::Numbers of;
#pragma unroll
      for (int p = 0; p < F::kNumbers; ++p) of[p] = x.of[w * F::kNumbers + p];
      run.of[w] = F::word(of);
    }
    *reinterpret_cast<Run*>(&to[side][k / F::kNumbers]) = run;
  }
  // Numbers that are rounded already.
  template <class Side>
  static __device__ __forceinline__ void put_depths(Side& to, int side, int k,
                                                    const FourBrains& x) {
    static_assert(F::kNumbers == 2);
    *reinterpret_cast<FourBrains*>(&to[side][k / 2]) = x;
  }
  template <class Side> static __device__ __forceinline__ void put_sides(
      Side& to, int side, int k, const FourBrains (&x)[F::kNumbers]) {
    static_assert(F::kNumbers == 2);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int shift = 16 * (i % 2);
      to[side + i][k / 2] =
          (x[0].of[i / 2] >> shift & 0xffffu) | (x[1].of[i / 2] >> shift & 0xffffu) << 16;
    }
  }
  template <class Side> static __device__ __forceinline__ void put_sides(
      Side& to, int side, int k, const Four (&x)[F::kNumbers]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      typename F::Numbers of;
#pragma unroll
      for (int p = 0; p < F::kNumbers; ++p) of[p] = x[p].of[i];
      to[side + i][k / F::kNumbers] = F::word(of);
    }
  }
};

// What a lane has of a tile: rows g and g + 8 of fragments, or columns; words t and t + 4.
template <class Tile> struct Fragments {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int g = lane / 4, t = lane % 4;
  const int row = warp / Tile::warps_across * Tile::wm + g,
            column = warp % Tile::warps_across * Tile::wn;
  float sum[Tile::rm][Tile::rn][4];

  // f(row, column, sums) of every two neighbours, within the tile
  template <class F> __device__ __forceinline__ void each(const F& f) {
#pragma unroll
    for (int i = 0; i < Tile::rm; ++i)
#pragma unroll
      for (int j = 0; j < Tile::rn; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e)
          f(row + 16 * i + 8 * e, column + 8 * j + 2 * t, &sum[i][j][2 * e]);
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
__global__ void __launch_bounds__(Tile::threads)
    gemm_tensor(int m, int n, int all_k, A all_a, B all_b, Epilogue all_epilogue, Sums sums) {
  const A a = part_of(all_a);
  const B b = part_of(all_b);
  const Epilogue epilogue = part_of(all_epilogue);
  const int k = depth_of(a, all_k);
  STEEP_SHARED(s, Tile);
  const int thread = static_cast<int>(threadIdx.x);
  const int m0 = static_cast<int>(blockIdx.y) * Tile::tm;
  const int n0 = static_cast<int>(blockIdx.x) * Tile::tn;
  if (summed_beside<Tile>(sums, n0)) return;
  Ahead<Tile, A, Tile::tm> left(a, thread, m0, m, k);
  Ahead<Tile, B, Tile::tn> right(b, thread, n0, n, k);
  const auto load = [&]<int kTurn>(int k0) {
    left.template load<kTurn>(k0);
    right.template load<kTurn>(k0);
  };
  Fragments<Tile> mine;
  mine.each([&](int r, int c, float* sum) {
#pragma unroll
    for (int i = 0; i < 2; ++i)
      sum[i] = m0 + r < m && n0 + c + i < n ? epilogue.init(m0 + r, n0 + c + i) : 0.0f;
  });
  const auto tile = [&]<int kTurn>(int k0) {
    if (k0 >= 0) {
      left.template store<kTurn>(s.a[kTurn]);
      right.template store<kTurn>(s.b[kTurn]);
      __syncthreads();  // once a tile: the other half is free since the last one
    }
    load.template operator()<kTurn>(k0 + 2 * Tile::tk);
    if (k0 < 0) return;
#pragma unroll
    for (int w = 0; w < Tile::words; w += 8) mine.add(s, kTurn, w);
  };
#pragma unroll 1
  for (int k0 = -2 * Tile::tk; k0 < k; k0 += 2 * Tile::tk) {  // the first two are only read
    tile.template operator()<0>(k0);
    if (k0 + Tile::tk < k) tile.template operator()<1>(k0 + Tile::tk);
  }
  mine.each(
      [&](int r, int c, const float* sum) { put_results<2>(epilogue, m, n, m0 + r, n0 + c, sum); });
}

}  // namespace steep::cuda
