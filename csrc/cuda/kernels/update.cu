// The sweep of every update rule over the tasks of a group, with penalties, limits and the average that follows
// the weights; what prepares it where gradients are clipped together; the ends of a call by a look-ahead
// rule. The formulas of the rules live in rules/.
#include "cuda/kernels/update.cuh"
#include "rules/list.h"

namespace steep::cuda {

namespace {

constexpr int kEach = 4, kThreads = 512;  // a task at once

// The rows of a task that move, a bit each: all, or those that have a gradient in one of the blocks beside each
// other.
__device__ __forceinline__ unsigned long long moving_of(const Column& column, const Ruled& ruled,
                                                        const Task& task) {
  if (ruled.panels == 0) return ~0ull;
  const int beside = ruled.turned ? 1 : ruled.panels;
  const int from = ruled.first + (task.number - ruled.first) / beside * beside;
  unsigned long long rows = 0;
  for (int i = from; i < from + beside; ++i) rows |= column.moving[i];
  return rows;
}
__device__ __forceinline__ bool moves(unsigned long long rows, const Ruled& ruled, const Task& task,
                                      int e) {
  return rows == ~0ull || (rows >> (ruled.turned ? e % task.columns : e / task.columns) & 1) != 0;
}

// A block a task: its gradient is finished here unless gradients were clipped together. g stays as it
// is.
template <class Rule, bool kFollowed, bool kSparse>
__global__ void __launch_bounds__(kThreads) sweep(Now now, Group group, Column column) {
  constexpr bool kTwice = rules::kSums<Rule> > 0;
  constexpr int count = slots_of<Rule>,
                own =
                    static_cast<int>(sizeof(typename Rule::template Knobs<float>) / sizeof(float));
  static_assert(count <= kMostSlots && own <= kMostKnobs);
  STEEP_SHARED(shared, typename Rule::template Knobs<float>);
  const int t = static_cast<int>(threadIdx.x);
  // A task's elements are asked for before anything is waited for; of sparse steps those of rows that move, unless
  // bounds or an average may change others.
  const Task task = group.tasks[blockIdx.x];
  const Ruled& ruled = column.ruled[task.parameter];
  const long at = task.offset + kEach * t;
  bool there = kEach * t < task.size;
  const unsigned long long moving = kSparse && there ? moving_of(column, ruled, task) : ~0ull;
  if (kSparse && !kFollowed && !ruled.bounded) {
    bool any = false;
    for (int j = 0; j < kEach; ++j) any = any || moves(moving, ruled, task, kEach * t + j);
    there = there && any;
  }
  const auto load = [&](const float* p) {
    return there ? *reinterpret_cast<const Four*>(p + at) : Four{};
  };
  Four w = load(column.w), s[kMostSlots], average{};
  const Four g = load(column.g);
#pragma unroll
  for (int k = 0; k < count; ++k) s[k] = load(ruled.slots[k]);
  if constexpr (kFollowed) average = load(ruled.average);
  if (stopped(now, true)) return;  // the same for all threads
  const float* const row = knobs_of(now);
  const float* const mine = row + group.knobs;
  if (t < own) reinterpret_cast<float*>(&shared)[t] = mine[kGroupKnobs + t];
  __syncthreads();
  float factor = 0;  // of a rule with two passes: penalties were the first one's
  if constexpr (kTwice) factor = static_cast<float>(column.factors[task.parameter]);
  const Mover<Rule, kFollowed> mover(shared, row, mine, ruled.decay != 0, column.scales != nullptr,
                                     Scale(column, task), factor);
  bool bad = false;
  if (there) {
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
      float slot[kMostSlots];
#pragma unroll
      for (int k = 0; k < count; ++k) slot[k] = s[k].of[j];
      const bool moved = !kSparse || moves(moving, ruled, task, kEach * t + j);
      const bool finite = mover(ruled, w.of[j], g.of[j], slot, average.of[j], moved);
      bad = bad || !finite;
#pragma unroll
      for (int k = 0; k < count; ++k) s[k].of[j] = slot[k];
    }
    const auto keep = [&](float* p, const Four& x) { *reinterpret_cast<Four*>(p + at) = x; };
    keep(column.w, w);
#pragma unroll
    for (int k = 0; k < count; ++k) keep(ruled.slots[k], s[k]);
    if constexpr (kFollowed) keep(ruled.average, average);
  }
  if (__syncthreads_or(bad) && t == 0)  // once a block: all of them may have reason to
    atomicMax(&now.cursor->bad_update, when(now));
}

template <class Rule, bool kSparse>
void run_sweep(const Place& at, const Group& group, const Column& column) {
  const dim3 grid(static_cast<unsigned>(group.count)), block(kThreads);
  group.averages
      ? start(at.stream, grid, block, sweep<Rule, true, kSparse>, at.now, group, column)
      : start(at.stream, grid, block, sweep<Rule, false, kSparse>, at.now, group, column);
}
// Sparse steps are those of rules that neither look ahead nor take two passes.
template <class Rule> void run_sweep(const Place& at, const Group& group, const Column& column) {
  if constexpr (!Rule::kLookAhead && rules::kSums<Rule> == 0)
    if (column.moving) return run_sweep<Rule, true>(at, group, column);
  run_sweep<Rule, false>(at, group, column);
}
template <class... R>
void run_rule(int rule, const Place& at, const Group& group, const Column& column, List<R...>) {
  using Run = void (*)(const Place&, const Group&, const Column&);
  static constexpr Run all[] = {run_sweep<R>...};
  all[rule](at, group, column);
}

__global__ void __launch_bounds__(128)
    finish_tasks(Now now, Group group, Column column, double* squares) {
  const int lane = static_cast<int>(threadIdx.x) % kHalf;
  int i = static_cast<int>((blockIdx.x * 128 + threadIdx.x) / kHalf);
  const bool there = i < group.count;
  i = there ? i : group.count - 1;
  const Task task = group.tasks[i];
  const Penalty penalty =
      penalty_of(knobs_of(now) + group.knobs, column.ruled[task.parameter].decay != 0);
  const double sum = squares_in_turn(lane, there ? task.size : 0, [&](int e) {
    const long at = task.offset + e;
    return column.g[at] = penalty(column.g[at], column.w[at]);
  });
  if (there && lane == 0) squares[task.number] = sum;
}

__global__ void __launch_bounds__(256) clip_tasks(Now now, Clip c) {
  STEEP_SHARED(all, double);
  if (stopped(now, true)) return;  // the same for all threads
  const double* const row = now.limits + static_cast<long>(here(now)) * now.columns + now.first;
  // Where it is not finite nothing moves.
  if (!clip_all<256>(c, row, all) && threadIdx.x == 0) now.cursor->bad_update = when(now);
}

__global__ void __launch_bounds__(kThreads) look_tasks(Now now, Group group, Column column, int v,
                                                       int row, int look, bool back, bool bounded) {
  const Task task = group.tasks[blockIdx.x];
  const float by = now.knobs[static_cast<long>(row) * now.columns + now.first + look];
  const float* const moments = column.ruled[task.parameter].slots[v];
  for (int i = static_cast<int>(threadIdx.x); i < task.size; i += kThreads) {
    const long at = task.offset + i;
    const float w = column.w[at];
    // Of all weights with this point one may be beyond a bound by a rounding; the bound has it, too.
    column.w[at] =
        !back     ? rules::look_ahead_point(w, moments[at], by)
        : bounded ? column.ruled[task.parameter].within(rules::weight_of_point(w, moments[at], by))
                  : rules::weight_of_point(w, moments[at], by);
  }
}

__global__ void __launch_bounds__(256) look_for_not_finite(const float* x, long n, unsigned* flag) {
  bool bad = false;
  for (long i = static_cast<long>(blockIdx.x) * 256 + threadIdx.x; i < n;
       i += static_cast<long>(gridDim.x) * 256)
    bad = bad || !is_finite(x[i]);
  if (__any_sync(kAll, bad) && threadIdx.x % 32 == 0) atomicOr(flag, 1u);
}

}  // namespace

void update(const Place& at, int rule, const Group& group, const Column& column) {
  run_rule(rule, at, group, column, rules::All{});
}

void finish(const Place& at, const Group& group, const Column& column, double* squares) {
  start(at.stream, dim3(blocks_of(static_cast<long>(group.count) * kHalf, 128)), dim3(128),
        finish_tasks, at.now, group, column, squares);
}

void clip(const Place& at, const Clip& clip) {
  start(at.stream, dim3(1), dim3(256), clip_tasks, at.now, clip);
}

void look(const Place& at, const Group& group, const Column& column, int v, int row, int look,
          bool back, bool bounded) {
  start(at.stream, dim3(static_cast<unsigned>(group.count)), dim3(kThreads), look_tasks, at.now,
        group, column, v, row, look, back, bounded);
}

void find_not_finite(cudaStream_t stream, const float* x, long n, unsigned* flag) {
  const unsigned blocks = n < 256 * 1024 ? blocks_of(n, 256) : 1024;
  if (blocks > 0) start(stream, dim3(blocks), dim3(256), look_for_not_finite, x, n, flag);
}

}  // namespace steep::cuda
