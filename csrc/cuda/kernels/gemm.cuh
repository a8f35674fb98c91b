// C = epilogue(init + A B) in tiles: the one building block of products and their gradients. Each C(m, n) is
// summed by one thread over k in ascending order with one fused multiply-add a term, as the CPU's panel
// kernel does: the same bits, whatever the tile.
//
// Operands are functors, so that another layout is the same kernel:
//   Line line(int m) of A, or of n for B: what is worked out once; float at(Line, int k). Elements are asked
//   for inside of their bounds only, lines anywhere.
//   Epilogue: float init(int m, int n);  void store(int m, int n, float sum).
// kFastK says whether neighbouring k (or else m, n) lie together in memory: threads read along it.
//
// The same on tensor cores: tensor.cuh; which of them: product.cuh.
//
// One launch may hold several products: where a functor has part(z), that is the one of product z; an A that has
// depth(k) says how much of k its product has.
#pragma once
#include <type_traits>

#include "cuda/kernels/kernel.cuh"

namespace steep::cuda {

constexpr int kThreads = 256;

template <int TM, int TN, int TK> struct Tile {
  static constexpr int tm = TM, tn = TN, tk = TK;
  static constexpr int rm = TM / 16, rn = TN / 16;  // of a thread, 16 rows and columns apart
  static constexpr int kA = TM * TK / kThreads, kB = TN * TK / kThreads;  // a thread's loads
  static_assert(TM * TK % kThreads == 0 && TN * TK % kThreads == 0 && TK % 4 == 0);
  // Neighbouring k lie together and are read four at a time; four more keep rows on different banks.
  alignas(16) float a[2][TM][TK + 4];
  alignas(16) float b[2][TN][TK + 4];
};
// A side of tiles on their way: while one is summed the next two are in registers, all loads of each at once,
// since one takes less time to sum than to come. A thread's elements lie on a few lines of the operand, or
// on one. A place of the tile holds so many neighbouring k together.
template <class Operand, int kSide, int kDepth, int kTogether = 1> struct Ahead {
  static constexpr bool kFastK = Operand::kFastK;
  static constexpr int kLoads = kSide * kDepth / kThreads;
  static constexpr int kLines = kFastK ? kLoads : 1;
  static_assert(kFastK ? kThreads % kDepth == 0 : kThreads % kSide == 0);
  const Operand& operand;
  const int t, first, sides, depths;
  typename Operand::Line lines[kLines];
  float of[2][kLoads][kTogether];

  STEEP_HD int side(int i) const { return kFastK ? (t + i * kThreads) / kDepth : t % kSide; }
  STEEP_HD int depth(int i) const { return kFastK ? t % kDepth : (t + i * kThreads) / kSide; }
  __device__ __forceinline__ Ahead(const Operand& from, int thread, int first_side, int all_sides,
                                   int all_depths)
      : operand(from), t(thread), first(first_side), sides(all_sides), depths(all_depths) {
#pragma unroll
    for (int i = 0; i < kLines; ++i) lines[i] = operand.line(first + side(i));
  }
  template <int kTurn> __device__ __forceinline__ void load(int k0) {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
#pragma unroll
      for (int p = 0; p < kTogether; ++p) {
        const int k = k0 + depth(i) * kTogether + p;
        of[kTurn][i][p] =
            first + side(i) < sides && k < depths ? operand.at(lines[kFastK ? i : 0], k) : 0.0f;
      }
    }
  }
  // Each place as `put` makes it of its numbers.
  template <int kTurn, class To, class Put>
  __device__ __forceinline__ void store(To& to, const Put& put) const {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) to[side(i)][depth(i)] = put(of[kTurn][i]);
  }
};

// Sums over rows that the last row of blocks makes beside a product, each block its own columns: parts of
// 64 rows, four of them a stretch, then the stretches, as on the CPU.
struct Summed {
  int rows;
  View x;
  float* out;
  bool accumulate;
};
struct NothingSummed {};

template <int kColumns, int kSize> __device__ __forceinline__ void sum_columns(
    const Summed& s, int first, float (&part)[kSize]) {
  constexpr int kParts = kThreads / kColumns, kPart = 64, kStretch = 4;
  static_assert(kParts % kStretch == 0 && kParts * kColumns <= kSize);
  const int t = static_cast<int>(threadIdx.x), lane = t % kColumns, mine = t / kColumns;
  const int c = first + lane;
  const bool there = c < s.x.columns;
  float total = there && s.accumulate ? s.out[c] : 0.0f;
  for (int r0 = 0; r0 < s.rows; r0 += kPart * kParts) {
    const int from = r0 + kPart * mine, to = from + kPart < s.rows ? from + kPart : s.rows;
    float sum = 0;
    if (there) {
#pragma unroll 16
      for (int r = from; r < to; ++r) sum = sum + s.x.data[r * s.x.ld + c];
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
template <class Sums>
__device__ __forceinline__ bool summed_beside(const Sums& sums, int first, int columns) {
  if constexpr (std::is_same_v<Sums, Summed>) {
    STEEP_SHARED(part, float[kThreads]);
    if (blockIdx.y != gridDim.y - 1) return false;  // the same for all threads
    for (int c = first; c < first + columns; c += 16) sum_columns<16>(sums, c, part);
    return true;
  }
  return false;
}

template <class Tile, class A, class B, class Epilogue, class Sums>
__global__ void __launch_bounds__(kThreads)
    gemm(int m, int n, int all_k, A all_a, B all_b, Epilogue all_epilogue, Sums sums) {
  const A a = part_of(all_a);
  const B b = part_of(all_b);
  const Epilogue epilogue = part_of(all_epilogue);
  const int k = depth_of(a, all_k);
  constexpr int TK = Tile::tk, RM = Tile::rm, RN = Tile::rn;
  STEEP_SHARED(s, Tile);
  const int t = static_cast<int>(threadIdx.x), row = t / 16, column = t % 16;
  const int m0 = static_cast<int>(blockIdx.y) * Tile::tm;
  const int n0 = static_cast<int>(blockIdx.x) * Tile::tn;
  if (summed_beside(sums, n0, Tile::tn)) return;
  Ahead<A, Tile::tm, TK> left(a, t, m0, m, k);
  Ahead<B, Tile::tn, TK> right(b, t, n0, n, k);
  const auto load = [&]<int kTurn>(int k0) {
    left.template load<kTurn>(k0);
    right.template load<kTurn>(k0);
  };
  load.template operator()<0>(0);
  load.template operator()<1>(TK);
  float sum[RM][RN];
#pragma unroll
  for (int i = 0; i < RM; ++i)
#pragma unroll
    for (int j = 0; j < RN; ++j) {
      const int r = m0 + row + i * 16, c = n0 + column + j * 16;
      sum[i][j] = r < m && c < n ? epilogue.init(r, c) : 0.0f;
    }
  const auto add = [&](int turn, int q, int depth) {  // four k, or the `depth` there are
    Four x[RM], y[RN];
#pragma unroll
    for (int i = 0; i < RM; ++i) x[i] = *reinterpret_cast<const Four*>(&s.a[turn][row + i * 16][q]);
#pragma unroll
    for (int j = 0; j < RN; ++j)
      y[j] = *reinterpret_cast<const Four*>(&s.b[turn][column + j * 16][q]);
#pragma unroll
    for (int p = 0; p < 4; ++p) {
      if (p >= depth) break;
#pragma unroll
      for (int i = 0; i < RM; ++i)
#pragma unroll
        for (int j = 0; j < RN; ++j) sum[i][j] = fma_(x[i].of[p], y[j].of[p], sum[i][j]);
    }
  };
  const auto tile = [&]<int kTurn>(int k0) {
    const auto put = [](const float (&x)[1]) { return x[0]; };
    left.template store<kTurn>(s.a[kTurn], put);
    right.template store<kTurn>(s.b[kTurn], put);
    __syncthreads();  // once a tile: the other half is free since the last one
    load.template operator()<kTurn>(k0 + 2 * TK);
    if (k0 + TK <= k) {
#pragma unroll
      for (int q = 0; q < TK; q += 4) add(kTurn, q, 4);
    } else {
      for (int q = 0; q < k - k0; q += 4)
        add(kTurn, q, k - k0 - q);  // not beyond: 0*0 + (-0) is +0
    }
  };
  for (int k0 = 0; k0 < k; k0 += 2 * TK) {
    tile.template operator()<0>(k0);
    if (k0 + TK < k) tile.template operator()<1>(k0 + TK);
  }
#pragma unroll
  for (int i = 0; i < RM; ++i)
#pragma unroll
    for (int j = 0; j < RN; ++j) {
      const int r = m0 + row + i * 16, c = n0 + column + j * 16;
      if (r < m && c < n) epilogue.store(r, c, sum[i][j]);
    }
}

// ---- Operands ----

struct Strided {  // elements of a line are `step` apart
  const float* data;
  long step;
};

// The rows of a batch, or their positions one after the other: of a row they lie dense.
struct Dense {
  float* data;
  long ld;
  int width, positions;
  STEEP_HD long offset(int m) const {
    if (positions == 1) return m * ld;
    return m / positions * ld + m % positions * width;
  }
  STEEP_HD float* row(int m) const { return data + offset(m); }
};
STEEP_HD Dense dense(const View& x, int positions) {
  return {x.data, x.ld, x.columns / positions, positions};
}

struct RowMajor {  // A(m, k)
  static constexpr bool kFastK = true;
  using Line = const float*;
  Dense x;
  STEEP_HD Line line(int m) const { return x.row(m); }
  STEEP_HD float at(Line line, int k) const { return line[k]; }
};
struct ColumnMajor {  // A(m, k) = x(k, m), or B(k, n) = x(k, n)
  static constexpr bool kFastK = false;
  using Line = const float*;
  Dense x;
  STEEP_HD Line line(int m) const { return x.data + m; }
  STEEP_HD float at(Line line, int k) const { return line[x.offset(k)]; }
};
using Right = ColumnMajor;
// Where element (row, column) of a matrix in panels lies.
STEEP_HD long in_panels(const Panels& p, int row, int column) { return p.at(row, column); }
struct Packed {  // B(k, n) = w(k, n)
  static constexpr bool kFastK = false;
  using Line = Strided;
  Weight w;
  STEEP_HD Line line(int n) const {
    const int panel = n / static_cast<int>(kPanel);
    return {w.data + w.panels.offset(panel) + n % static_cast<int>(kPanel), w.panels.width(panel)};
  }
  STEEP_HD float at(Line line, int k) const { return line.data[k * line.step]; }
};
struct PackedTurned {  // B(k, n) = w(n, k)
  static constexpr bool kFastK = true;
  using Line = int;
  Weight w;
  STEEP_HD Line line(int n) const { return n; }
  STEEP_HD float at(Line n, int k) const { return w.data[in_panels(w.panels, n, k)]; }
};

// An epilogue: the product is a weight's gradient.
struct AddedPacked {
  Weight w;
  bool accumulate;
  STEEP_HD float init(int m, int n) const {
    return accumulate ? w.data[in_panels(w.panels, m, n)] : 0.0f;
  }
  STEEP_HD void store(int m, int n, float sum) const { w.data[in_panels(w.panels, m, n)] = sum; }
};

}  // namespace steep::cuda
