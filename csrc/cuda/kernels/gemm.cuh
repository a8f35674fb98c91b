// C = epilogue(init + A B) in tiles: the one building block of products and their gradients. Each C(m, n) is
// summed by one thread over k in ascending order with one fused multiply-add a term, as the CPU's panel
// kernel does: the same bits, whatever the tile.
//
// Operands are functors, so that another layout is the same kernel:
//   Line line(int m) of A, or of n for B: what is worked out once; float at(Line, int k). Elements are asked
//   for inside of their bounds only, lines anywhere.
//   Epilogue: float init(int m, int n);  void store(int m, int n, float sum).
// kFastK says whether neighbouring k (or else m, n) lie together in memory: threads read four along it. Who
// reads them at once has, where k is fast,
//   Four four(Line, int k, int left): elements k to k + 3, 0 from the `left`th on;
// else Lines lines(int m, int all) of rows m to m + 3, and Four four(Lines, int k), 0 from row `all` on.
// Who writes several n at once has T* place(m, n), float value(m, n, sum) and `aligned` in place of store; T is
// float or Brain.
// A functor whose numbers are Brain says so by `Number`. The fours of such an operand are FourBrains: for tensor cores
// of bfloat16.
//
// The same on tensor cores: tensor.cuh; which of them: product.cuh.
//
// One launch may hold several products: where a functor has part(z), that is the one of product z; an A that has
// depth(k) says how much of k its product has.
#pragma once
#include <type_traits>

#include "cuda/kernels/divisor.h"
#include "cuda/kernels/kernel.cuh"

namespace steep::cuda {

// So many threads have RM x RN sums each, in groups of four neighbours or fewer.
template <int TM, int TN, int TK, int RM, int RN> struct Tile {
  static constexpr int tm = TM, tn = TN, tk = TK, rm = RM, rn = RN;
  static constexpr int across = TN / RN, threads = TM / RM * across;
  static constexpr int unroll = RM * RN >= 64 ? 1 : RM * RN >= 16 ? 4 : 8;  // k of a loop
  static constexpr int together = 1;      // k that one place holds
  static constexpr bool by_rows = false;  // neighbouring k, or else sides, are together
  static_assert(TM % 8 == 0 && TN % 8 == 0 && TK % 8 == 0);
  // Four more keep neighbouring k on different banks.
  alignas(16) float a[2][TK][TM + 4];
  alignas(16) float b[2][TK][TN + 4];

  template <class Side>
  static __device__ __forceinline__ void put_depths(Side& to, int side, int k, const Four& x) {
#pragma unroll
    for (int i = 0; i < 4; ++i) to[k + i][side] = x.of[i];
  }
  template <class Side> static __device__ __forceinline__ void put_sides(Side& to, int side, int k,
                                                                         const Four (&x)[1]) {
    *reinterpret_cast<Four*>(&to[k][side]) = x[0];
  }
};

template <class Functor> struct NumberOf { using type = float; };
template <class Functor>
  requires requires { typename Functor::Number; }
struct NumberOf<Functor> {
  using type = typename Functor::Number;
};
template <class... Functor> constexpr bool kSomeBrains =
    (std::is_same_v<typename NumberOf<Functor>::type, Brain> || ...);

// A side of tiles on their way: while one is summed the next two are in registers, all loads of each at once,
// since one takes less time to sum than to come. A thread reads units: four neighbouring k of a line, or four
// neighbouring lines at the k of one place. A warp's share of them is short along what is written to shared
// memory and long enough along what is read.
template <class Tile, class Operand, int kSide> struct Ahead {
  static constexpr bool kFastK = Operand::kFastK;
  static constexpr int kThreads = Tile::threads, kTogether = Tile::together;
  static constexpr int kFours = kFastK ? 1 : kTogether;  // of a unit
  static constexpr int kUnits =
      kFastK ? kSide * (Tile::tk / 4) : kSide / 4 * (Tile::tk / kTogether);
  static constexpr int kLoads = (kUnits + kThreads - 1) / kThreads;
  static constexpr bool kReadsFours = requires(const Operand& o, int k) {
    requires kFastK;
    o.four(o.line(0), k, k);
  };
  static constexpr bool kReadsLines = requires(const Operand& o, int k) { o.lines(k, k); };
  static auto held(const Operand& o) {
    if constexpr (kReadsLines)
      return o.lines(0, 0);
    else
      return o.line(0);
  }
  using Held = decltype(held(std::declval<const Operand&>()));
  static constexpr int kHeld = kFastK || kReadsLines ? 1 : 4;  // of a unit
  using Fours = typename FourOf<typename NumberOf<Operand>::type>::type;
  const Operand& operand;
  const int t, first, sides, depths;
  Held lines[kLoads][kHeld];
  Fours of[2][kLoads][kFours];

  STEEP_HD static int side(int u) {
    if constexpr (kFastK) {
      constexpr int kDepths = Tile::tk / 4 < 4 ? Tile::tk / 4 : 4, kSides = 32 / kDepths;
      static_assert(kSide % kSides == 0);
      return u % kSides + kSides * (u / 32 % (kSide / kSides));
    }
    return 4 * ((Tile::by_rows ? u / 8 : u) % (kSide / 4));
  }
  STEEP_HD static int depth(int u) {
    if constexpr (kFastK) {
      constexpr int kDepths = Tile::tk / 4 < 4 ? Tile::tk / 4 : 4;
      return 4 * (u % 32 / (32 / kDepths) + kDepths * (u / (kSide * kDepths)));
    }
    return Tile::by_rows ? kTogether * (u % 8 + 8 * (u / (2 * kSide))) : u / (kSide / 4);
  }
  STEEP_HD bool mine(int u) const { return kUnits % kThreads == 0 || u < kUnits; }
  __device__ __forceinline__ Ahead(const Operand& from, int thread, int first_side, int all_sides,
                                   int all_depths)
      : operand(from), t(thread), first(first_side), sides(all_sides), depths(all_depths) {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int s = first + side(t + i * kThreads);
      if constexpr (kReadsLines) {
        lines[i][0] = operand.lines(s, sides);
      } else {
#pragma unroll
        for (int h = 0; h < kHeld; ++h) lines[i][h] = operand.line(s + h);
      }
    }
  }
  __device__ __forceinline__ Fours read(int i, int s, int k) const {
    if constexpr (kReadsFours) {
      return s < sides ? operand.four(lines[i][0], k, depths - k) : Fours{};
    } else if constexpr (kReadsLines) {
      return k < depths ? operand.four(lines[i][0], k) : Fours{};
    } else {
      Four x;
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int at = kFastK ? k + e : k;
        x.of[e] = s + (kFastK ? 0 : e) < sides && at < depths
                      ? operand.at(lines[i][kFastK ? 0 : e], at)
                      : 0.0f;
      }
      return x;
    }
  }
  template <int kTurn> __device__ __forceinline__ void load(int k0) {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int u = t + i * kThreads;
#pragma unroll
      for (int f = 0; mine(u) && f < kFours; ++f)
        of[kTurn][i][f] = read(i, first + side(u), k0 + depth(u) + f);
    }
  }
  template <int kTurn, class To> __device__ __forceinline__ void store(To& to) const {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int u = t + i * kThreads;
      if (!mine(u)) continue;
      if constexpr (kFastK)
        Tile::put_depths(to, side(u), depth(u), of[kTurn][i][0]);
      else
        Tile::put_sides(to, side(u), depth(u), of[kTurn][i]);
    }
  }
};

// Neighbouring results from (r, c) on, where they are.
template <int kRun, class Epilogue> __device__ __forceinline__ void put_results(const Epilogue& e,
                                                                                int m, int n, int r,
                                                                                int c,
                                                                                const float* sums) {
  if (r >= m) return;
  if constexpr (requires { e.place(r, c); }) {
    using T = std::remove_pointer_t<decltype(e.place(r, c))>;
    struct alignas(sizeof(T) * kRun) Run { T of[kRun]; };
    if (e.aligned && c + kRun <= n) {
      Run x;
#pragma unroll
      for (int i = 0; i < kRun; ++i) put(&x.of[i], e.value(r, c + i, sums[i]));
      *reinterpret_cast<Run*>(e.place(r, c)) = x;
      return;
    }
#pragma unroll
    for (int i = 0; i < kRun; ++i)
      if (c + i < n) put(e.place(r, c + i), e.value(r, c + i, sums[i]));
  } else {
#pragma unroll
    for (int i = 0; i < kRun; ++i)
      if (c + i < n) e.store(r, c + i, sums[i]);
  }
}

// Sums over rows that the last row of blocks makes beside a product, each block its own columns: parts of
// 64 rows, four of them a stretch, then the stretches, as on the CPU.
template <class T> struct Summed {
  int rows;
  View x;
  float* out;
  bool accumulate;
};
struct NothingSummed {};
template <class Sums> constexpr bool kSums = !std::is_same_v<Sums, NothingSummed>;

template <int kColumns, class T, int kThreads> __device__ __forceinline__ void sum_columns(
    const Summed<T>& s, int first, float (&part)[kThreads]) {
  constexpr int kParts = kThreads / kColumns, kPart = 64, kStretch = 4;
  static_assert(kParts % kStretch == 0);
  const int t = static_cast<int>(threadIdx.x), lane = t % kColumns, mine = t / kColumns;
  const int c = first + lane;
  const bool there = c < s.x.columns;
  float total = there && s.accumulate ? s.out[c] : 0.0f;
  for (int r0 = 0; r0 < s.rows; r0 += kPart * kParts) {
    const int from = r0 + kPart * mine, to = from + kPart < s.rows ? from + kPart : s.rows;
    float sum = 0;
    if (there) {
#pragma unroll 16
      for (int r = from; r < to; ++r) sum = sum + widened(numbers_of<T>(s.x)[r * s.x.ld + c]);
    }
    part[mine * kColumns + lane] = sum;
    __syncthreads();
    for (int p = 0; p < kParts && r0 + kPart * p < s.rows; p += kStretch) {
      float stretch = 0;
      for (int q = p; q < p + kStretch && r0 + kPart * q < s.rows; ++q)
        stretch += part[q * kColumns + lane];
      total = s.accumulate || r0 + p > 0 ? total + stretch : stretch;
    }
    __syncthreads();
  }
  if (mine == 0 && there) s.out[c] = total;
}

// Those of one product among several.
template <class F> __device__ __forceinline__ F part_of(const F& f) {
  if constexpr (requires { f.part(0); }) {
    return f.part(static_cast<int>(blockIdx.z));
  } else {
    return f;
  }
}
template <class A> __device__ __forceinline__ int depth_of(const A& a, int k) {
  if constexpr (requires { a.depth(k); }) {
    return a.depth(k);
  } else {
    return k;
  }
}

// Are these columns' sums what this block is for?
template <class Tile, class Sums>
__device__ __forceinline__ bool summed_beside(const Sums& sums, int first) {
  if constexpr (kSums<Sums>) {
    STEEP_SHARED(part, float[Tile::threads]);
    if (blockIdx.y != gridDim.y - 1) return false;  // the same for all threads
    for (int c = first; c < first + Tile::tn; c += 16) sum_columns<16>(sums, c, part);
    return true;
  }
  return false;
}

// A row of a side: `kCount` numbers of a thread, in groups `apart` one from the next.
template <int kCount> struct Numbers {
  static constexpr int kRun = kCount < 4 ? kCount : 4;
  struct alignas(4 * kRun) Run { float of[kRun]; };
  static_assert(kCount % kRun == 0);
  Run runs[kCount / kRun];
  __device__ __forceinline__ Numbers(const float* from, int apart) {
#pragma unroll
    for (int i = 0; i < kCount / kRun; ++i)
      runs[i] = *reinterpret_cast<const Run*>(from + i * apart);
  }
  STEEP_HD float operator[](int i) const { return runs[i / kRun].of[i % kRun]; }
};

// Loops are short in code: a kernel of a small step runs once and has to be fetched first.
template <class Tile, class A, class B, class Epilogue, class Sums>
__global__ void __launch_bounds__(Tile::threads)
    gemm(int m, int n, int all_k, A all_a, B all_b, Epilogue all_epilogue, Sums sums) {
  const A a = part_of(all_a);
  const B b = part_of(all_b);
  const Epilogue epilogue = part_of(all_epilogue);
  const int k = depth_of(a, all_k);
  constexpr int TK = Tile::tk, RM = Tile::rm, RN = Tile::rn;
  constexpr int kRows = Numbers<RM>::kRun, kColumns = Numbers<RN>::kRun;
  constexpr int kDown = Tile::tm / RM * kRows, kAcross = Tile::across * kColumns;  // of groups
  STEEP_SHARED(s, Tile);
  const int t = static_cast<int>(threadIdx.x);
  const int row = t / Tile::across * kRows, column = t % Tile::across * kColumns;
  const int m0 = static_cast<int>(blockIdx.y) * Tile::tm;
  const int n0 = static_cast<int>(blockIdx.x) * Tile::tn;
  if (summed_beside<Tile>(sums, n0)) return;
  const auto m_of = [&](int i) { return m0 + row + i / kRows * kDown + i % kRows; };
  const auto n_of = [&](int j) { return n0 + column + j / kColumns * kAcross + j % kColumns; };
  Ahead<Tile, A, Tile::tm> left(a, t, m0, m, k);
  Ahead<Tile, B, Tile::tn> right(b, t, n0, n, k);
  const auto load = [&]<int kTurn>(int k0) {
    left.template load<kTurn>(k0);
    right.template load<kTurn>(k0);
  };
  float sum[RM][RN];
#pragma unroll
  for (int i = 0; i < RM; ++i)
#pragma unroll
    for (int j = 0; j < RN; ++j) {
      const int r = m_of(i), c = n_of(j);
      sum[i][j] = r < m && c < n ? epilogue.init(r, c) : 0.0f;
    }
  const auto tile = [&]<int kTurn>(int k0) {
    if (k0 >= 0) {
      left.template store<kTurn>(s.a[kTurn]);
      right.template store<kTurn>(s.b[kTurn]);
      __syncthreads();  // once a tile: the other half is free since the last one
    }
    load.template operator()<kTurn>(k0 + 2 * TK);
    if (k0 < 0) return;
    const int depth = k - k0 < TK ? k - k0 : TK;  // not beyond: 0*0 + (-0) is +0
#pragma unroll Tile::unroll
    for (int p = 0; p < depth; ++p) {
      const Numbers<RM> x(&s.a[kTurn][p][row], kDown);
      const Numbers<RN> y(&s.b[kTurn][p][column], kAcross);
#pragma unroll
      for (int i = 0; i < RM; ++i)
#pragma unroll
        for (int j = 0; j < RN; ++j) sum[i][j] = fma_(x[i], y[j], sum[i][j]);
    }
  };
#pragma unroll 1
  for (int k0 = -2 * TK; k0 < k; k0 += 2 * TK) {  // the first two are only read
    tile.template operator()<0>(k0);
    if (k0 + TK < k) tile.template operator()<1>(k0 + TK);
  }
#pragma unroll
  for (int i = 0; i < RM; ++i)
#pragma unroll
    for (int j = 0; j < RN; j += kColumns)
      put_results<kColumns>(epilogue, m, n, m_of(i), n_of(j), &sum[i][j]);
}

}  // namespace steep::cuda
