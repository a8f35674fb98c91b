// Products of a training that stays in one block, forward and back, and gradients of its parameters. Each sum is that
// of the kernels of products.cu, in its order. No kernel lives here.
#pragma once
#include "cuda/kernels/resident_room.cuh"

namespace steep::cuda {

namespace resident_ops {

// Two rows and four columns of the result a thread, k in ascending order. Columns are neighbours, of W^T every eighth
// of a panel: then what lanes read of W lies on banks of its own.
template <bool kTurned>
__device__ __forceinline__ void multiply(const Room& room, const Node& node, int rows) {
  const float* const w = room.column(0);
  const int depth = node.x.columns, outputs = node.y.columns;
  const int units = (rows + 1) / 2 * node.by_columns.by();
  for (int u = static_cast<int>(threadIdx.x); u < units; u += kThreads) {
    const Divisor::Parts at = node.by_columns.of(u);
    const int panel = at.rest / 8, quad = at.rest % 8, r = 2 * at.quotient;
    const int first = 32 * panel + (kTurned ? quad : 4 * quad);
    if (first >= outputs) continue;
    const bool both = r + 1 < rows;
    const auto column = [&](int j) { return first + (kTurned ? 8 * j : j); };
    // Row i of a tensor from these columns on; the second one may not be there.
    const auto from = [&](const Spot& s, int i) { return room.tensor(s) + (r + i) * s.ld; };
    const auto get = [&](const float* p) {
      Four x;
      if constexpr (kTurned) {
#pragma unroll
        for (int j = 0; j < 4; ++j) x.of[j] = p[column(j) < outputs ? column(j) : first];
      } else {
        x = four(p + first);
      }
      return x;
    };
    const auto put = [&](float* p, const Four& x) {
      if constexpr (!kTurned) {
        four(p + first) = x;
      } else {
#pragma unroll
        for (int j = 0; j < 4; ++j)
          if (column(j) < outputs) p[column(j)] = x.of[j];
      }
    };
    Four sum[2] = {};
    if (node.accumulate) {
      sum[0] = get(from(node.y, 0));
      if (both) sum[1] = get(from(node.y, 1));
    } else if (node.bias >= 0) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int c = column(j) < outputs ? column(j) : first;
        sum[0].of[j] = sum[1].of[j] = w[swirled(node.bias + c)];
      }
    }
    const float *const x0 = from(node.x, 0), *const x1 = both ? from(node.x, 1) : x0;
    const int begin = node.w + node.packing.begin(panel), wide = node.packing.wide(panel);
    for (int k = 0; k < depth; k += 4) {
      const Four a = four(x0 + k), b = four(x1 + k);
      Four other[4];  // of W: of turned ones a column each, of others a row
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if constexpr (kTurned) {
          const int row = column(i) < outputs ? column(i) : first;
          other[i] = four(w + swirled(node.w + node.packing.at(row, k)));
        } else {
          const int row = k + i < depth ? k + i : k;
          other[i] = four(w + swirled(begin + row * wide + 4 * quad));
        }
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if (k + i >= depth) break;  // not beyond: 0*0 + (-0) is +0
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const float y = kTurned ? other[j].of[i] : other[i].of[j];
          sum[0].of[j] = fma_(a.of[i], y, sum[0].of[j]);
          sum[1].of[j] = fma_(b.of[i], y, sum[1].of[j]);
        }
      }
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (i == 1 && !both) break;
      Four y = sum[i];
      if (node.grad && node.f >= 0) {
        y = sloped(node.f, node.alpha, y, get(from(node.other, i)));
      } else if (node.f >= 0) {
        if (node.other.any()) put(from(node.other, i), y);
        y = activated(node.f, node.alpha, y);
      }
      put(from(node.y, i), y);
    }
  }
}

// Half a warp for each row and output, as the CPU's dot products: lane j takes columns j, j+16, ... of the padding,
// too, which is 0.
__device__ __forceinline__ void dot(const Room& room, const Node& node, int rows) {
  constexpr int kHalves = kThreads / kHalf;
  const float* const w = room.column(0);
  const int t = static_cast<int>(threadIdx.x), lane = t % kHalf, outputs = node.y.columns;
  for (int first = 0; first + t / 32 * 2 < rows * outputs; first += kHalves) {
    const int pair = first + t / kHalf;
    const bool there = pair < rows * outputs;
    const int r = there ? pair / outputs : 0, n = there ? pair % outputs : 0;
    const float* const from = room.tensor(node.x) + r * node.x.ld;
    float sum = 0;
    for (int c = lane; c < node.packing.width; c += kHalf) {
      const float in = c < node.x.columns ? from[c] : 0.0f;
      sum = fma_(in, w[swirled(node.w + node.packing.at(n, c))], sum);
    }
    sum = fold_lanes(sum);
    if (!there || lane != 0) continue;
    float* const to = room.tensor(node.y) + r * node.y.ld + n;
    sum = sum + (node.accumulate ? *to : node.bias >= 0 ? w[swirled(node.bias + n)] : 0.0f);
    if (node.grad && node.f >= 0) {
      const float stored = room.tensor(node.other)[r * node.other.ld + n];
      sum = sloped(node.f, node.alpha, Four{{sum}}, Four{{stored}}).of[0];
    } else if (node.f >= 0) {
      if (node.other.any()) room.tensor(node.other)[r * node.other.ld + n] = sum;
      sum = activated(node.f, node.alpha, Four{{sum}}).of[0];
    }
    *to = sum;
  }
}

// ---- Gradients of parameters ----

__device__ __forceinline__ void sum_outer(const Room& room, const Share& share, int rows, int t) {
  float* const g = room.column(1);
  const float *const x = room.tensor(share.x), *const y = room.tensor(share.y);
  const int down = share.x.columns, across = share.y.columns;
  for (int u = t; u < (down + 1) / 2 * share.by_columns.by(); u += kThreads) {
    const Divisor::Parts at = share.by_columns.of(u);
    const int panel = at.rest / 8, quad = at.rest % 8, m = 2 * at.quotient;
    const int first = 32 * panel + 4 * quad;
    if (first >= across) continue;
    Four sum[2] = {};
#pragma unroll 4
    for (int r = 0; r < rows; ++r) {
      struct alignas(8) Two { float of[2]; };
      const Two a = *reinterpret_cast<const Two*>(x + r * share.x.ld + m);
      const Four b = four(y + r * share.y.ld + first);
#pragma unroll
      for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) sum[i].of[j] = fma_(a.of[i], b.of[j], sum[i].of[j]);
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (m + i >= down) break;
#pragma unroll
      for (int j = 0; j < 4; ++j)
        if (first + j >= across) sum[i].of[j] = 0.0f;  // padding stays
      const int to =
          share.g + share.packing.begin(panel) + (m + i) * share.packing.wide(panel) + 4 * quad;
      four(g + swirled(to)) = sum[i];
    }
  }
}

// Parts of 64 rows, four of them a stretch, then the stretches, as on the CPU.
__device__ __forceinline__ void sum_column(const Room& room, const Share& share, int rows, int t) {
  constexpr int kPart = 64, kStretch = 256;
  for (int c = t; c < share.y.columns; c += kThreads) {
    const float* const y = room.tensor(share.y) + c;
    float total = 0;
    for (int begin = 0; begin < rows; begin += kStretch) {
      float stretch = 0;
      for (int from = begin; from < begin + kStretch && from < rows; from += kPart) {
        const int to = from + kPart < rows ? from + kPart : rows;
        float sum = 0;
#pragma unroll 8
        for (int r = from; r < to; ++r) sum = sum + y[r * share.y.ld];
        stretch += sum;
      }
      total = begin > 0 ? total + stretch : stretch;
    }
    room.column(1)[swirled(share.g + c)] = total;
  }
}

}  // namespace resident_ops

}  // namespace steep::cuda
