// Matrix products in dual numbers, each element summed by one thread over k in ascending order, or of few outputs by
// half a warp, as the CPU does; sums over the rows of a batch.
#include "cuda/kernels/tangent_tiles.cuh"
// The line above comes first.
#include "cuda/kernels/tangent_recurrent.h"

namespace steep::cuda {

namespace {

// The rows of a batch, or their positions one after the other: of a row they lie dense.
struct Lines {
  DualNumber* data;
  long ld;
  int width;
  Divisor by_positions;
  STEEP_HD DualNumber* at(int m, int c) const {
    const Divisor::Parts of = by_positions.of(m);
    return data + of.quotient * ld + static_cast<long>(of.rest) * width + c;
  }
};
Lines lines(const Duals& x, int positions) {
  return {x.data, x.ld, x.columns / positions, Divisor(positions)};
}

struct Across {  // (m, k) is x(m, k)
  static constexpr bool kFastK = true;
  Lines x;
  STEEP_HD Dual operator()(int m, int k) const { return get(x.at(m, k)); }
};
struct Down {  // (m, k) is x(k, m)
  static constexpr bool kFastK = false;
  Lines x;
  STEEP_HD Dual operator()(int m, int k) const { return get(x.at(k, m)); }
};
// The same of positions that a row has, as many as it says; the others are terms of -0, which change no sum.
template <bool kLeft> struct DownCounted {
  static constexpr bool kFastK = false;
  Lines x;
  Duals lengths;
  STEEP_HD Dual operator()(int m, int k) const {
    const Divisor::Parts of = x.by_positions.of(k);
    if (of.rest + 1 <= get(lengths, of.quotient, 0).v) return get(x.at(k, m));
    return kLeft ? Dual(-0.0, -0.0) : Dual(0);
  }
};
template <bool kTurned> struct InPanels {  // (n, k) is w(k, n), or w(n, k)
  static constexpr bool kFastK = kTurned;
  const DualNumber* w;
  Panels panels;
  STEEP_HD Dual operator()(int n, int k) const {
    return get(w + (kTurned ? panels.at(n, k) : panels.at(k, n)));
  }
};

struct IntoLines {
  Lines y;
  const DualNumber* bias;
  bool accumulate;
  STEEP_HD Dual init(int m, int n) const {
    return accumulate ? get(y.at(m, n)) : bias ? get(bias + n) : Dual(0);
  }
  STEEP_HD void set(int m, int n, Dual sum) const { put(y.at(m, n), sum); }
};
struct IntoPanels {
  DualNumber* w;
  Panels panels;
  bool accumulate;
  STEEP_HD Dual init(int m, int n) const { return accumulate ? get(w + panels.at(m, n)) : Dual(0); }
  STEEP_HD void set(int m, int n, Dual sum) const { put(w + panels.at(m, n), sum); }
};

template <class A, class B, class Into>
__global__ void __launch_bounds__(kTile* kTile)
    multiply_tiles(int m, int n, int depth, A a, B b, Into into) {
  STEEP_SHARED(left, DualNumber[kTile][kTile + 1]);
  STEEP_SHARED(right, DualNumber[kTile][kTile + 1]);
  const Spot at;
  const bool there = at.row < m && at.column < n;
  const Dual from = there ? into.init(at.row, at.column) : Dual(0);
  const Dual sum = at.meet(a, m, b, n, depth, left, right, from);
  if (there) into.set(at.row, at.column, sum);
}

template <class A, class B, class Into>
void multiply(const Place& at, int m, int n, int depth, const A& a, const B& b, const Into& into) {
  start(at.stream, dim3(blocks_of(m, kTile), blocks_of(n, kTile)), dim3(kTile * kTile),
        multiply_tiles<A, B, Into>, m, n, depth, a, b, into);
}

// Of at most four outputs, whose weights lie as W^T: half a warp an output of a row.
__global__ void __launch_bounds__(64)
    multiply_lanes(int m, Divisor outputs, int depth, Lines x, InPanels<true> w, IntoLines into) {
  const int lane = static_cast<int>(threadIdx.x) % kHalf;
  const int i = static_cast<int>((static_cast<long>(blockIdx.x) * 64 + threadIdx.x) / kHalf);
  const Divisor::Parts of = outputs.of(i);
  const bool there = of.quotient < m;
  Dual sum = 0;
  for (int c = lane; there && c < depth; c += kHalf)
    sum = fma_(get(x.at(of.quotient, c)), w(of.rest, c), sum);
  sum = fold(sum);
  if (there && lane == 0) into.set(of.quotient, of.rest, sum + into.init(of.quotient, of.rest));
}

// y = init + x W or x W^T; `by_lanes` where the CPU takes dot products.
void product(const Place& at, const Duals& x, const DualFactor& w, bool turned,
             const DualNumber* bias, bool accumulate, const Duals& y) {
  const Lines from = lines(x, w.positions);
  const IntoLines into{lines(y, w.positions), bias, accumulate};
  const int m = at.rows * w.positions, n = into.y.width, depth = from.width;
  if (w.narrow && !turned) {
    const long halves = static_cast<long>(m) * n;
    return start(at.stream, dim3(blocks_of(halves, 64 / kHalf)), dim3(64), multiply_lanes, m,
                 Divisor(n), depth, from, InPanels<true>{w.data, w.panels}, into);
  }
  // Stored as W^T, W(n, k) is (k, n) there.
  w.narrow == turned
      ? multiply(at, m, n, depth, Across{from}, InPanels<false>{w.data, w.panels}, into)
      : multiply(at, m, n, depth, Across{from}, InPanels<true>{w.data, w.panels}, into);
}

// Sums of 64 rows, 16 of them side by side; they are added in order, four to a stretch, and stretches in order.
__global__ void __launch_bounds__(kTile* kTile)
    sum_columns(int rows, Duals x, Duals y, DualNumber* out, bool accumulate) {
  constexpr int kPart = 64, kStretch = 4;
  STEEP_SHARED(parts, DualNumber[kTile][kTile]);
  const int lane = static_cast<int>(threadIdx.x) % kTile;
  const int part = static_cast<int>(threadIdx.x) / kTile;
  const int c = static_cast<int>(blockIdx.x) * kTile + lane;
  const bool there = c < x.columns;
  Dual total = there && accumulate ? get(out + c) : Dual(0);
  bool begun = accumulate;
  for (int first = 0; first < rows; first += kTile * kPart) {
    const int from = first + part * kPart, to = from + kPart < rows ? from + kPart : rows;
    Dual sum = 0;
    for (int r = from; there && r < to; ++r)
      sum = y.data ? fma_(get(x, r, c), get(y, r, c), sum) : sum + get(x, r, c);
    put(&parts[part][lane], sum);
    __syncthreads();
    for (int p = 0; part == 0 && p < kTile && first + p * kPart < rows; p += kStretch) {
      Dual stretch = 0;
      for (int i = p; i < p + kStretch && first + i * kPart < rows; ++i)
        stretch += get(&parts[i][lane]);
      total = begun ? total + stretch : stretch;
      begun = true;
    }
    __syncthreads();
  }
  if (part == 0 && there) put(out + c, total);
}

}  // namespace

void matmul(const Place& at, const Duals& x, const DualFactor& w, const DualNumber* bias,
            const Duals& y) {
  product(at, x, w, w.turned, bias, false, y);
}

void matmul_grad(const Place& at, const Duals& dz, const DualFactor& w, bool accumulate,
                 const Duals& dx) {
  product(at, dz, w, !w.turned, nullptr, accumulate, dx);
}

// Rows of a weight that is stored as W^T come from dz.
void positions_grad_weight(const Place& at, const DualSown& x, const DualSown& dz, int positions,
                           const Duals& lengths, const DualFactor& dw, bool accumulate) {
  const DualSown &left = dw.narrow ? dz : x, &right = dw.narrow ? x : dz;
  const auto rows = [&](const DualSown& s) {
    return Lines{s.of.data, s.of.ld, s.each, Divisor(positions)};
  };
  const IntoPanels to{dw.data, dw.panels, accumulate};
  const int m = left.width, n = right.width, depth = at.rows * positions;
  if (lengths.data) {
    return multiply(at, m, n, depth, DownCounted<true>{rows(left), lengths},
                    DownCounted<false>{rows(right), lengths}, to);
  }
  multiply(at, m, n, depth, Down{rows(left)}, Down{rows(right)}, to);
}

void column_sums(const Place& at, const Duals& x, const Duals& y, DualNumber* out,
                 bool accumulate) {
  start(at.stream, dim3(blocks_of(x.columns, kTile)), dim3(kTile * kTile), sum_columns, at.rows, x,
        y, out, accumulate);
}

}  // namespace steep::cuda
