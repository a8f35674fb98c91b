// Losses of rows: values, right predictions and gradients, in the order of the CPU's loops, a row by a thread or by
// half a warp. The formulas live in losses/; no kernel lives here.
#pragma once
#include "cuda/kernels/kernel.cuh"
#include "losses/list.h"

namespace steep::cuda {

// What every loss kernel is given.
struct Rows {
  Now now;
  int rows;
  View z;
  Truth truth;
  float option;
  Losses out;
  View dz;
  const TermRow* term = nullptr;  // of the step, where it lies elsewhere than in the table
};

__device__ __forceinline__ const TermRow& term_of(const Now& now, int number) {
  return now.terms[static_cast<long>(here(now)) * now.count + number];
}
__device__ __forceinline__ double share_of(const Now& now, int number) {
  if (now.terms == nullptr) return 1;  // of no training
  const double share = term_of(now, number).share;
  return share > 0 ? share : 1;
}

// Row i of what a loss takes: a sample's, or one of its positions'.
struct Taken {
  long sample, place;  // among the samples of the data set, and among all their positions
  float *z, *dz;       // dz may be null; both may be the same
  float weight;
  int columns;
  bool counts;
  int label;
  __device__ Taken(const Rows& a, int i) {
    const int each = a.truth.positions > 0 ? a.truth.positions : 1, r = i / each, p = i % each;
    columns = a.z.columns / each;
    sample = a.truth.order ? a.truth.order[r] : r;
    place = sample * each + p;
    z = a.z.data + r * a.z.ld + static_cast<long>(p) * columns;
    dz = a.dz.data ? a.dz.data + r * a.dz.ld + static_cast<long>(p) * columns : nullptr;
    weight = 1.0f;
    if (a.truth.positions > 0) {
      if (a.truth.each) weight = a.truth.each[place];
    } else if (a.truth.weights) {
      weight = static_cast<float>(a.truth.weights[sample]);
    }
    label = a.truth.labels ? a.truth.labels[sample * a.truth.apart + p] : 0;
    counts = label >= 0;
    label = counts ? label : 0;
  }
};
__device__ __forceinline__ float factor_of(const Rows& a) {
  if (!a.dz.data) return 0;
  const TermRow& term = a.term ? *a.term : term_of(a.now, a.out.number);
  if (a.truth.positions == 0) return term.factor;
  return term.factor * static_cast<float>(term.share > 0 ? term.share : 1.0);
}
// What does not count leaves nothing, whatever is there.
__device__ __forceinline__ void put(const Rows& a, const Taken& at, int i, double value,
                                    double right) {
  const bool apart = a.truth.positions > 0;
  (apart ? a.out.parts : a.out.values)[i] = at.counts ? value : 0.0;
  (apart ? a.out.parts + a.rows : a.out.correct)[i] = at.counts ? right : 0.0;
}

// Row i of at most 16 classes, by one thread. z and dz may be the same.
__device__ __forceinline__ void few_classes_of(const Rows& a, int i) {
  using Loss = losses::CrossEntropy;
  const Taken at(a, i);
  const int label = at.label, columns = at.columns;
  const float* const z = at.z;
  float e[kHalf];
#pragma unroll
  for (int c = 0; c < kHalf; ++c) e[c] = c < columns ? z[c] : 0.0f;  // all loads at once
  float top = e[0], label_z = e[0];
  int best = 0;
#pragma unroll
  for (int c = 0; c < kHalf; ++c) {
    const bool in = c < columns;
    best = in && e[c] > top ? c : best;
    top = in && e[c] > top ? e[c] : top;
    label_z = label == c ? e[c] : label_z;
  }
  float others = 0, sum_d = 0;
#pragma unroll
  for (int c = 0; c < kHalf; ++c) {
    if (c < columns) {
      const float d = e[c] - top;
      e[c] = exp_(d);
      others += best == c ? 0.0f : e[c];
      sum_d += d;
    }
  }
  const float keep = 1.0f - a.option, spread = a.option / static_cast<float>(columns);
  const float weight = at.weight, factor = factor_of(a) * weight;
  const float others_t = best == label ? 0.0f : 1.0f;
  const float value = weight * Loss::value(others, sum_d, 1.0f, label_z - top, a.option, spread);
  put(a, at, i, static_cast<double>(value),
      sum_d == sum_d ? 1.0 - static_cast<double>(others_t) : 0.0);
  if (!at.dz) return;
  const float scale = factor / (1.0f + others);
  const float largest = Loss::grad_of_largest(others, others_t, scale, factor * keep,
                                              factor * spread, static_cast<float>(columns));
#pragma unroll
  for (int c = 0; c < kHalf; ++c) {
    const float grad =
        Loss::grad(e[c], label == c ? 1.0f : 0.0f, scale, factor * keep, factor * spread);
    if (c < columns) at.dz[c] = !at.counts ? 0.0f : best == c ? largest : grad;
  }
}

// Row i of one column, by one thread.
template <class Loss> __device__ __forceinline__ void single_column_of(const Rows& a, int i) {
  const Taken at(a, i);
  const float z = *at.z;
  const float t = a.truth.targets ? a.truth.targets[at.place] : static_cast<float>(at.label);
  const float value = 0.0f + Loss::value(z, t, a.option);
  const float grad = factor_of(a) * at.weight * Loss::grad(z, t, a.option);
  float hit = 0;
  if constexpr (Loss::kClassification) hit = z == z && (z > 0.0f) == (t > 0.5f) ? 1.0f : 0.0f;
  put(a, at, i, static_cast<double>(at.weight) * static_cast<double>(value),
      static_cast<double>(hit));
  if (at.dz) *at.dz = at.counts ? grad : 0.0f;
}

// Half a warp a row: lane j has columns j, j+16, ... Lanes past the last row have none, but take part in the
// folds.
struct Lane {
  int lane, r;
  bool there;
  __device__ Lane(int row, int rows)
      : lane(static_cast<int>(threadIdx.x) % kHalf), r(row), there(r < rows) {
    if (!there) r = rows - 1;
  }
  __device__ explicit Lane(int rows)
      : Lane(static_cast<int>((blockIdx.x * blockDim.x + threadIdx.x) / kHalf), rows) {}
};

template <class Loss> __device__ __forceinline__ void columns_of(const Rows& a, const Lane& lane) {
  const Taken at(a, lane.r);
  const int columns = lane.there ? at.columns : 0;
  const float* const target = a.truth.targets + at.place * at.columns;
  const float scale = factor_of(a) * at.weight / static_cast<float>(columns);
  float sum = 0, hits = 0;
  for (int c = lane.lane; c < columns; c += kHalf) {
    const float x = at.z[c], t = target[c];
    sum += Loss::value(x, t, a.option);
    if constexpr (Loss::kClassification) hits += x == x && (x > 0.0f) == (t > 0.5f) ? 1.0f : 0.0f;
    if (at.dz) at.dz[c] = scale * Loss::grad(x, t, a.option);
  }
  sum = fold_lanes(sum);
  hits = fold_lanes(hits);
  if (!lane.there || lane.lane != 0) return;
  const double n = static_cast<double>(columns);
  put(a, at, lane.r, static_cast<double>(at.weight) * static_cast<double>(sum) / n,
      static_cast<double>(hits) / n);
}

// NaN is passed over: it shows in the sum of exponentials.
__device__ __forceinline__ float row_max(const float* z, int lane, int columns) {
  float top = -__builtin_huge_valf();
  for (int c = lane; c < columns; c += kHalf) top = max_(z[c], top);
#pragma unroll
  for (int half = kHalf / 2; half > 0; half /= 2)
    top = max_(__shfl_down_sync(kAll, top, half, kHalf), top);
  return __shfl_sync(kAll, top, 0, kHalf);
}

__device__ __forceinline__ int least(int x) {
#pragma unroll
  for (int half = kHalf / 2; half > 0; half /= 2)
    x = min_(x, __shfl_xor_sync(kAll, x, half, kHalf));
  return x;
}

template <bool kTarget>
__device__ __forceinline__ void many_classes_of(const Rows& a, const Lane& half) {
  using Loss = losses::CrossEntropy;
  const Taken at(a, half.r);
  const bool there = half.there;
  const int columns = there ? at.columns : 0, lane = half.lane;
  const float* const z = at.z;
  const float* const target = kTarget ? a.truth.targets + at.place * at.columns : nullptr;
  const float keep = 1.0f - a.option, spread = a.option / static_cast<float>(columns);
  const float weight = at.weight, factor = factor_of(a) * weight;
  const int label = at.label;
  const float top = row_max(z, lane, columns);
  int first = columns, nan = 0;
  for (int c = lane; c < columns; c += kHalf) {
    first = z[c] == top ? min_(first, c) : first;
    nan |= z[c] != z[c];
  }
  const int best = least(first);
  nan = -least(-nan);
  int truth = label;
  if constexpr (kTarget) {
    truth = 0;
    for (int c = 1; c < columns; ++c) truth = target[c] > target[truth] ? c : truth;
  }
  const float label_d =
      kTarget || !there ? 0.0f : z[label] - top;  // before dz, which may be z itself
  __syncwarp();
  float others = 0, ds = 0, ts = 0, tds = 0, other_ts = 0;
  float* const dz = at.dz;
  for (int c = lane; c < columns; c += kHalf) {
    const float d = z[c] - top, e = exp_(d);
    others += c == best ? 0.0f : e;
    ds += d;
    if constexpr (kTarget) {
      ts += target[c];
      other_ts += c == best ? 0.0f : target[c];
      tds = fma_(target[c], d, tds);
    }
    if (dz && there) dz[c] = e;
  }
  others = fold_lanes(others);
  ds = fold_lanes(ds);
  float t = 1, td = label_d, others_t = best == label ? 0.0f : 1.0f;
  if constexpr (kTarget) t = fold_lanes(ts), td = fold_lanes(tds), others_t = fold_lanes(other_ts);
  if (!there) return;
  if (lane == 0) {
    const float value = Loss::value(others, ds, t, td, a.option, spread);
    put(a, at, half.r, static_cast<double>(weight) * static_cast<double>(value),
        best == truth && !nan ? 1.0 : 0.0);
  }
  if (!dz) return;
  const float scale = factor * fma_(keep, t, a.option) / (1.0f + others);
  for (int c = lane; c < columns; c += kHalf) {
    float g = Loss::grad(dz[c], kTarget ? target[c] : 0.0f, scale, factor * keep, factor * spread);
    if (!kTarget && c == label) g -= factor * keep;
    if (c == best)
      g = Loss::grad_of_largest(others, others_t, scale, factor * keep, factor * spread,
                                static_cast<float>(columns));
    dz[c] = at.counts ? g : 0.0f;
  }
}

}  // namespace steep::cuda
