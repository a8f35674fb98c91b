// Kernels of losses, and the sums of their rows.
#include "cuda/kernels/losses.cuh"

namespace steep::cuda {

namespace {

// A few rows a block: they lie on lines of their own.
__global__ void __launch_bounds__(16) few_classes(Rows a) {
  const int i = static_cast<int>(blockIdx.x * 16 + threadIdx.x);
  if (i < a.rows) few_classes_of(a, i);
}

template <class Loss> __global__ void __launch_bounds__(64) single_column(Rows a) {
  const int i = static_cast<int>(blockIdx.x * 64 + threadIdx.x);
  if (i < a.rows) single_column_of<Loss>(a, i);
}

template <class Loss> __global__ void __launch_bounds__(64) column_rows(Rows a) {
  columns_of<Loss>(a, Lane(a.rows));
}

template <bool kTarget> __global__ void __launch_bounds__(64) many_classes(Rows a) {
  many_classes_of<kTarget>(a, Lane(a.rows));
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
