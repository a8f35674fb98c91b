// The first pass of rules that have two: sums over whole parameters and what a rule makes of them; of factored rules
// the slots of rows and columns, and the direction in place of the gradient. In the CPU's order: lanes of a task in
// double, tasks one after the other.
#include "cuda/kernels/update.cuh"
#include "rules/list.h"

namespace steep::cuda {

namespace {

constexpr int kTerms = 2, kBlockRows = 64;

// Half a warp a task of [0, count).
struct Half {
  int lane, i;
  bool there;
  __device__ explicit Half(int count)
      : lane(static_cast<int>(threadIdx.x) % kHalf),
        i(static_cast<int>((blockIdx.x * 128 + threadIdx.x) / kHalf)), there(i < count) {
    if (!there) i = count - 1;
  }
};

__device__ __forceinline__ float decay_of(const Ruled& ruled, const float* group) {
  return ruled.decay ? group[kDecay] : 0.0f;
}

template <class Rule>
__global__ void __launch_bounds__(128)
    measure_tasks(Now now, Group group, Column column, double* terms) {
  using Knobs = typename Rule::template Knobs<float>;
  constexpr bool looks = requires(const Knobs& k, double* t) {
    Rule::template measure<float>(0.0f, 0.0f, k, 0.0f, t);
  };
  constexpr int count =
      looks ? 0 : static_cast<int>(sizeof(Rule::kSlots) / sizeof(Rule::kSlots[0]));
  constexpr int own = rules::kSums<Rule>;
  if (stopped(now, true)) return;  // the same for all threads
  const Half half(group.count);
  const Task task = group.tasks[half.i];
  const Ruled& ruled = column.ruled[task.parameter];
  const float* const mine = knobs_of(now) + group.knobs;
  const Knobs knobs = own_knobs<Rule>(mine);
  const float decay = decay_of(ruled, mine);
  const Scale scale(column, task);
  double sum[kTerms] = {};
  for (int e = half.lane; half.there && e < task.size; e += kHalf) {
    const long at = task.offset + e;
    const float w = column.w[at];
    float g = scale(column.g[at]);
    double term[kTerms];
    if constexpr (looks) {
      Rule::template measure<float>(w, g, knobs, decay, term);
    } else {
      float s[kMostSlots];
      for (int k = 0; k < count; ++k) s[k] = ruled.slots[k][at];
      Rule::template measure<float>(w, g, s, knobs, decay, term);
      for (int k = 0; k < count; ++k) ruled.slots[k][at] = s[k];
    }
    if constexpr (rules::kOrthogonal<Rule>) column.g[at] = g;
    for (int k = 0; k < own; ++k) sum[k] += term[k];
  }
  for (int k = 0; k < own; ++k) {
    sum[k] = fold_lanes(sum[k]);
    if (half.there && half.lane == 0) terms[kTerms * task.number + k] = sum[k];
  }
}

template <class Rule>
__global__ void __launch_bounds__(64)
    find_factors(Now now, Group group, Column column, PassSums sums) {
  const int i = static_cast<int>(blockIdx.x * 64 + threadIdx.x);
  if (i >= sums.parameters) return;
  const int p = sums.owners[i];
  double terms[kTerms] = {};
  for (int task = sums.first[p]; task < sums.first[p + 1]; ++task)
    for (int k = 0; k < kTerms; ++k) terms[k] += sums.terms[kTerms * task + k];
  const float* const mine = knobs_of(now) + group.knobs;
  sums.factors[p] = Rule::template factor<float>(terms, sums.extents[p], own_knobs<Rule>(mine),
                                                 decay_of(column.ruled[p], mine));
}

// Where a task lies among the blocks of rows and the panels of its matrix.
struct Block {
  Task task;
  Factored of;
  int width, block, panel;
  __device__ Block(const Matrices& m, int i) : task(m.tasks[i]), of(m.all[m.owners[i]]) {
    const int panels = static_cast<int>((of.columns + of.across - 1) / of.across);
    const int k = task.number - of.first;
    block = k / panels;
    panel = k % panels;
    const long left = padded(of.columns) - panel * of.across;
    width = static_cast<int>(left < of.across ? left : of.across);
  }
  __device__ float* rows() const { return of.row + block * kBlockRows; }
};

__global__ void __launch_bounds__(128)
    sum_squares(Now now, Matrices m, Column column, double* terms) {
  if (stopped(now, true)) return;  // the same for all threads
  const Half half(m.task_count);
  const Block at(m, half.i);
  const Scale scale(column, at.task);
  double* const by_row = at.of.by_row + at.panel * at.of.rows + at.block * kBlockRows;
  double* const by_column =
      at.of.by_column + at.block * padded(at.of.columns) + at.panel * at.of.across;
  double weights = 0;
  const int rows = half.there ? static_cast<int>(at.task.size / at.width) : 0;
  // Both halves of a warp fold as often as the one with more rows.
  const int first = __shfl_sync(kAll, rows, 0), second = __shfl_sync(kAll, rows, kHalf);
  for (int r = 0; r < (first > second ? first : second); ++r) {
    double row = 0;
    for (int c = half.lane; r < rows && c < at.width; c += kHalf) {
      const long e = at.task.offset + r * at.width + c;
      const double g = static_cast<double>(scale(column.g[e])),
                   w = static_cast<double>(column.w[e]);
      row += g * g;
      by_column[c] = r == 0 ? g * g : by_column[c] + g * g;
      weights += w * w;
    }
    row = fold_lanes(row);
    if (r < rows && half.lane == 0) by_row[r] = row;
  }
  weights = fold_lanes(weights);
  if (half.there && half.lane == 0) terms[kTerms * at.task.number] = weights;
}

// The slots of a matrix from the sums of its blocks, and factors whose products are its mean squares.
__global__ void __launch_bounds__(256)
    combine_factors(Now now, int group_knobs, Matrices m, Column column) {
  if (stopped(now, true)) return;  // the same for all threads
  STEEP_SHARED(over, double);
  const Factored f = m.all[blockIdx.x];
  const int t = static_cast<int>(threadIdx.x);
  const double* const knobs = now.limits + static_cast<long>(here(now)) * now.columns + now.first +
                              group_knobs + kGroupKnobs;
  const double beta2 = knobs[m.beta2], fresh = knobs[m.fresh], eps = knobs[m.eps];
  const Ruled& ruled = column.ruled[f.parameter];
  const auto advance = [&](const double* sums, long count, long apart, long blocks, long n,
                           float* slot, float* to) {
    for (long i = t; i < count; i += 256) {
      double sum = 0;
      for (long b = 0; b < blocks; ++b) sum += sums[b * apart + i];
      const double mean = sum / static_cast<double>(n);
      slot[i] = static_cast<float>(beta2 * static_cast<double>(slot[i]) + fresh * mean);
      to[i] = static_cast<float>(static_cast<double>(slot[i]) + eps);
    }
  };
  const long panels = (f.columns + f.across - 1) / f.across;
  const long blocks = (f.rows + kBlockRows - 1) / kBlockRows;
  advance(f.by_row, f.rows, f.rows, panels, f.columns, ruled.slots[f.turned ? 1 : 0] + f.offset,
          f.row);
  advance(f.by_column, f.columns, padded(f.columns), blocks, f.rows,
          ruled.slots[f.turned ? 0 : 1] + f.offset, f.column);
  __syncthreads();
  float* const factors = f.turned ? f.column : f.row;  // those of r
  const long count = f.turned ? f.columns : f.rows;
  if (t == 0) {
    double sum = 0;
    for (long i = 0; i < count; ++i) sum += static_cast<double>(factors[i]);
    const double mean = sum / static_cast<double>(count), least = knobs[m.least];
    over = mean < least ? least : mean;
  }
  __syncthreads();
  for (long i = t; i < count; i += 256)
    factors[i] = over == 0 ? 0.0f : static_cast<float>(static_cast<double>(factors[i]) / over);
}

__global__ void __launch_bounds__(128)
    find_directions(Now now, int group_knobs, Matrices m, Column column, double* terms) {
  using Rule = rules::Adafactor;
  if (stopped(now, true)) return;  // the same for all threads
  const Half half(m.task_count);
  const Block at(m, half.i);
  const Scale scale(column, at.task);
  const auto knobs = own_knobs<Rule>(knobs_of(now) + group_knobs);
  const float* const columns = at.of.column + at.panel * at.of.across;
  double sum = 0;
  for (int e = half.lane; half.there && e < at.task.size; e += kHalf) {
    float* const g = column.g + at.task.offset + e;
    const float mean = at.rows()[e / at.width] * columns[e % at.width];
    const float u = Rule::direction(scale(*g), mean, knobs);
    *g = u;
    sum += static_cast<double>(u) * static_cast<double>(u);
  }
  sum = fold_lanes(sum);
  if (half.there && half.lane == 0) terms[kTerms * at.task.number + 1] = sum;
}

template <class Rule>
void run(const Place& at, const Group& group, const Column& column, const PassSums& sums,
         const Matrices& m) {
  if constexpr (rules::kSums<Rule> > 0) {
    static_assert(rules::kSums<Rule> <= kTerms);
    if constexpr (rules::kFactored<Rule>) {
      const dim3 grid(blocks_of(static_cast<long>(m.task_count) * kHalf, 128)), block(128);
      start(at.stream, grid, block, sum_squares, at.now, m, column, sums.terms);
      start(at.stream, dim3(static_cast<unsigned>(m.count)), dim3(256), combine_factors, at.now,
            group.knobs, m, column);
      start(at.stream, grid, block, find_directions, at.now, group.knobs, m, column, sums.terms);
    } else {
      start(at.stream, dim3(blocks_of(static_cast<long>(group.count) * kHalf, 128)), dim3(128),
            measure_tasks<Rule>, at.now, group, column, sums.terms);
    }
    start(at.stream, dim3(blocks_of(sums.parameters, 64)), dim3(64), find_factors<Rule>, at.now,
          group, column, sums);
  }
}
template <class... R> auto run_by(int rule, List<R...>) {
  using Run = void (*)(const Place&, const Group&, const Column&, const PassSums&, const Matrices&);
  static constexpr Run all[] = {run<R>...};
  return all[rule];
}

}  // namespace

void measure(const Place& at, int rule, const Group& group, const Column& column,
             const PassSums& sums, const Matrices& matrices) {
  run_by(rule, rules::All{})(at, group, column, sums, matrices);
}

}  // namespace steep::cuda
