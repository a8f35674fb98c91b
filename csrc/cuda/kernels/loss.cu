// Losses of rows: values, right predictions and gradients, in the order of the CPU's loops. The formulas live
// in losses/.
#include "cuda/kernels/kernel.cuh"
#include "losses/list.h"

namespace steep::cuda {

namespace {

// What every loss kernel is given.
struct Rows {
  Now now;
  int rows;
  View z;
  Truth truth;
  float option;
  Losses out;
  View dz;
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
    sample = a.truth.order[r];
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
  const TermRow& term = term_of(a.now, a.out.number);
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

// A thread a row of at most 16 classes, few of them a block: rows lie on lines of their own. z and dz may be the
// same.
__global__ void __launch_bounds__(16) few_classes(Rows a) {
  using Loss = losses::CrossEntropy;
  const int i = static_cast<int>(blockIdx.x * 16 + threadIdx.x);
  if (i >= a.rows) return;
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

// A thread a row of one column.
template <class Loss> __global__ void __launch_bounds__(64) single_column(Rows a) {
  const int i = static_cast<int>(blockIdx.x * 64 + threadIdx.x);
  if (i >= a.rows) return;
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
  __device__ explicit Lane(int rows)
      : lane(static_cast<int>(threadIdx.x) % kHalf),
        r(static_cast<int>((blockIdx.x * blockDim.x + threadIdx.x) / kHalf)), there(r < rows) {
    if (!there) r = rows - 1;
  }
};

template <class Loss> __global__ void __launch_bounds__(64) column_rows(Rows a) {
  const Lane lane(a.rows);
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

template <bool kTarget> __global__ void __launch_bounds__(64) many_classes(Rows a) {
  using Loss = losses::CrossEntropy;
  const Lane half(a.rows);
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

// The sum of a row; of truth the weights only are looked at.
__global__ void __launch_bounds__(64) mean_rows(Rows a, View judged, View sides) {
  const Lane at(a.rows);
  const int columns = at.there ? a.z.columns : 0;
  const float* const x = a.z.data + at.r * a.z.ld;
  const double* const weights = a.truth.weights;
  const float weight = weights ? static_cast<float>(weights[a.truth.order[at.r]]) : 1.0f;
  const float scale = a.option;
  float sum = 0;
  for (int c = at.lane; c < columns; c += kHalf) sum += x[c];
  sum = fold_lanes(sum);
  const float grad = factor_of(a) * weight * scale;
  for (int c = at.lane; a.dz.data && c < columns; c += kHalf) a.dz.data[at.r * a.dz.ld + c] = grad;
  const int asked = at.there && judged.data ? judged.columns : 0;
  float hits = 0;  // exact as long as a row has fewer than 2^24
  for (int c = at.lane; c < asked; c += kHalf) {
    const float z = judged.data[at.r * judged.ld + c];  // a NaN is never right
    hits += z == z && (z > 0) == (sides.data[at.r * sides.ld + c] > 0.5f) ? 1 : 0;
  }
  hits = fold_lanes(hits);
  if (!at.there || at.lane != 0) return;
  a.out.values[at.r] = static_cast<double>(weight) * static_cast<double>(scale * sum);
  a.out.correct[at.r] = asked > 0 ? static_cast<double>(hits) / static_cast<double>(asked) : 0;
}

// The same of a position that has a weight, a thread each: the sum goes on in its own precision.
__global__ void __launch_bounds__(64)
    mean_positions(Rows a, double scale, View judged, View sides) {
  const int i = static_cast<int>(blockIdx.x * 64 + threadIdx.x);
  if (i >= a.rows) return;
  const Taken at(a, i);
  const int each = a.truth.positions, r = i / each, p = i % each;
  float sum = 0;
  for (int c = 0; c < at.columns; ++c) sum += at.z[c];
  const int asked = judged.data ? judged.columns / each : 0;
  int hits = 0;
  for (int c = p * asked; c < (p + 1) * asked; ++c) {
    const float z = judged.data[r * judged.ld + c];  // a NaN is never right
    hits += z == z && (z > 0) == (sides.data[r * sides.ld + c] > 0.5f) ? 1 : 0;
  }
  put(a, at, i, static_cast<double>(at.weight) * static_cast<double>(sum),
      asked > 0 ? static_cast<double>(hits) / static_cast<double>(asked) : 0.0);
  if (!at.dz) return;
  const double whole = scale * share_of(a.now, a.out.number) * static_cast<double>(each);
  const float factor = term_of(a.now, a.out.number).factor;
  const float grad = factor * at.weight * static_cast<float>(whole);
  for (int c = 0; c < at.columns; ++c) at.dz[c] = grad;
}

// A block a sample: what its positions left, in their order, each sum by one thread from shared memory.
__global__ void __launch_bounds__(128) sum_positions(Rows a, double scale, double times) {
  constexpr int kParts = 128;
  STEEP_SHARED(staged, double[3][kParts]);
  STEEP_SHARED(sums, double[3]);
  const int t = static_cast<int>(threadIdx.x), r = static_cast<int>(blockIdx.x);
  const int each = a.truth.positions;
  const long sample = a.truth.order[r];
  double sum = 0;
  for (int first = 0; first < each; first += kParts) {
    const int p = first + t;
    if (p < each) {
      const long at = static_cast<long>(r) * each + p, place = sample * each + p;
      const bool counts = !a.truth.labels || a.truth.labels[sample * a.truth.apart + p] >= 0;
      const double weight = a.truth.each ? static_cast<double>(a.truth.each[place]) : 1.0;
      staged[0][t] = a.out.parts[at];
      staged[1][t] = counts ? weight * a.out.parts[a.rows + at] : 0.0;
      staged[2][t] = counts ? weight : 0.0;
    }
    __syncthreads();
    const int there = each - first < kParts ? each - first : kParts;
    if (t % 32 == 0 && t < 96)
      for (int i = 0; i < there; ++i) sum += staged[t / 32][i];
    __syncthreads();
  }
  if (t % 32 == 0 && t < 96) sums[t / 32] = sum;
  __syncthreads();
  if (t != 0) return;
  a.out.values[r] = scale * share_of(a.now, a.out.number) * times * sums[0];
  a.out.correct[r] = sums[2] > 0 ? sums[1] / sums[2] : 0;
}

template <class Loss> void run(const Place& at, const Rows& a) {
  const int columns = a.z.columns / (a.truth.positions > 0 ? a.truth.positions : 1);
  const unsigned threads = blocks_of(a.rows, 64), halves = blocks_of(a.rows, 64 / kHalf);
  if constexpr (Loss::kPerColumn) {
    columns == 1 ? start(at.stream, dim3(threads), dim3(64), single_column<Loss>, a)
                 : start(at.stream, dim3(halves), dim3(64), column_rows<Loss>, a);
  } else if (a.truth.labels && columns <= kHalf) {
    start(at.stream, dim3(blocks_of(a.rows, 16)), dim3(16), few_classes, a);
  } else {
    a.truth.targets ? start(at.stream, dim3(halves), dim3(64), many_classes<true>, a)
                    : start(at.stream, dim3(halves), dim3(64), many_classes<false>, a);
  }
}

template <class... L> void run_one(int index, const Place& at, const Rows& a, List<L...>) {
  static constexpr void (*all[])(const Place&, const Rows&) = {run<L>...};
  all[index](at, a);
}

// Rows are added in order, each sum by one thread, from shared memory.
__global__ void __launch_bounds__(128) sum_rows(Now now, Losses of, Truth truth, Sums to) {
  constexpr int kRows = 128;
  STEEP_SHARED(staged, double[3][kRows]);
  if (stopped(now, false)) return;  // the same for all threads
  const int t = static_cast<int>(threadIdx.x), rows = row_of(now).rows, at = part_of(now);
  double sum = 0;
  bool bad = false;
  for (int first = 0; first < rows; first += kRows) {
    const int r = first + t;
    if (r < rows) {
      const double weight = truth.weights ? truth.weights[truth.order[r]] : 1.0;
      staged[0][t] = of.values[r];
      staged[1][t] = truth.weights ? weight * of.correct[r] : of.correct[r];
      staged[2][t] = weight;
      bad = bad || !(of.values[r] * 0.0 == 0);
    }
    __syncthreads();
    const int here_rows = rows - first < kRows ? rows - first : kRows;
    if (t % 32 == 0 && t < 96)
      for (int i = 0; i < here_rows; ++i) sum += staged[t / 32][i];
    __syncthreads();
  }
  if (!now.again) {
    if (t == 0) to.loss[at] = sum;
    if (t == 32) to.right[at] = sum;
    if (t == 64) to.weight[at] = sum;
  }
  bad = __syncthreads_or(bad);
  if (bad && t == 0) note_bad(now);
}

__global__ void advance_steps(Cursor* cursor, int steps) { cursor->at += steps; }

}  // namespace

void loss(const Place& at, int index, float option, const View& z, const Truth& truth,
          const Losses& out, const View& dz) {
  const int each = truth.positions > 0 ? truth.positions : 1;
  const Rows rows{at.now, at.rows * each, z, truth, option, out, dz};
  run_one(index, at, rows, losses::All{});
  if (truth.positions == 0) return;
  start(at.stream, dim3(static_cast<unsigned>(at.rows)), dim3(128), sum_positions, rows, 1.0, 1.0);
}

void mean_loss(const Place& at, double scale, const View& x, const View& judged, const View& sides,
               const Truth& truth, const Losses& out, const View& dx) {
  Rows rows{at.now, at.rows, x, truth, static_cast<float>(scale), out, dx};
  if (truth.positions == 0) {
    return start(at.stream, dim3(blocks_of(at.rows, 64 / kHalf)), dim3(64), mean_rows, rows, judged,
                 sides);
  }
  rows.rows *= truth.positions;
  start(at.stream, dim3(blocks_of(rows.rows, 64)), dim3(64), mean_positions, rows, scale, judged,
        sides);
  start(at.stream, dim3(static_cast<unsigned>(at.rows)), dim3(128), sum_positions, rows, scale,
        static_cast<double>(truth.positions));
}

void record(const Place& at, const Losses& of, const Truth& truth, const Sums& to) {
  start(at.stream, dim3(1), dim3(128), sum_rows, at.now, of, truth, to);
}

void advance(const Place& at, int steps) {
  start(at.stream, dim3(1), dim3(1), advance_steps, at.now.cursor, steps);
}

}  // namespace steep::cuda
