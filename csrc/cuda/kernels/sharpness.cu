// To the point uphill, where sharpness-aware minimisation takes the gradient, and back; which rows of a matrix have a
// gradient at all; numbers that are kept in case a step comes to nothing.
#include "cuda/kernels/each.cuh"
#include "cuda/kernels/update.cuh"

namespace steep::cuda {

namespace {

constexpr int kThreads = 256;

// A thread a task: the CPU adds its squares one after the other, too.
__global__ void __launch_bounds__(32) square_tasks(Now now, Group group, Column column, Uphill to) {
  const int i = static_cast<int>(blockIdx.x * 32 + threadIdx.x);
  if (i >= group.count || stopped(now, true)) return;
  const Task task = group.tasks[i];
  double sum = 0;
  for (int e = 0; e < task.size; ++e) {
    const long at = task.offset + e;
    const float g = column.g[at];
    const double x = static_cast<double>(to.adaptive ? column.w[at] * g : g);
    sum += x * x;
  }
  to.squares[task.number] = sum;
}

// Tasks one after the other, by one thread, from shared memory.
__global__ void __launch_bounds__(kThreads) find_rate(Now now, int count, Uphill to) {
  STEEP_SHARED(staged, double[kThreads]);
  if (stopped(now, true)) return;  // the same for all threads
  const int t = static_cast<int>(threadIdx.x);
  double sum = 0;
  for (int first = 0; first < count; first += kThreads) {
    if (first + t < count) staged[t] = to.squares[first + t];
    __syncthreads();
    const int there = count - first < kThreads ? count - first : kThreads;
    for (int i = 0; t == 0 && i < there; ++i) sum += staged[i];
    __syncthreads();
  }
  if (t != 0) return;
  if (!is_finite(sum)) atomicMax(&now.cursor->bad_update, when(now));
  const double length = __builtin_sqrt(sum);
  const double far =
      now.limits[static_cast<long>(here(now)) * now.columns + now.first + kSharpness];
  *to.rate = length > 0 ? static_cast<float>(far / length) : 0.0f;
}

// Did the step come to an end before it moved anything?
__device__ __forceinline__ bool ended(const Now& now) {
  return stopped(now, true) || now.cursor->bad_update != 0;
}

__global__ void __launch_bounds__(kThreads)
    move_tasks(Now now, Group group, Column column, Uphill to) {
  if (ended(now)) return;
  const Task task = group.tasks[blockIdx.x];
  const float rate = *to.rate;
  for (int e = static_cast<int>(threadIdx.x); e < task.size; e += kThreads) {
    const long at = task.offset + e;
    const float w = column.w[at], g = column.g[at];
    to.kept[at] = w;
    column.w[at] = w + rate * (to.adaptive ? w * w * g : g);
  }
}

__global__ void __launch_bounds__(kThreads)
    move_back(Now now, Group group, Column column, Uphill from) {
  if (ended(now)) return;
  const Task task = group.tasks[blockIdx.x];
  for (int e = static_cast<int>(threadIdx.x); e < task.size; e += kThreads)
    column.w[task.offset + e] = from.kept[task.offset + e];
}

// NaN counts. Of a matrix stored as W^T rows are columns.
__global__ void __launch_bounds__(kThreads)
    look_at_rows(Group group, Column column, unsigned long long* moving) {
  STEEP_SHARED(words, unsigned[2]);
  const Task task = group.tasks[blockIdx.x];
  const Ruled& ruled = column.ruled[task.parameter];
  if (ruled.panels == 0) return;  // the same for all threads
  const int t = static_cast<int>(threadIdx.x);
  if (t < 2) words[t] = 0;
  __syncthreads();
  for (int e = t; e < task.size; e += kThreads) {
    const int row = ruled.turned ? e % task.columns : e / task.columns;
    if (column.g[task.offset + e] != 0.0f) atomicOr(&words[row / 32], 1u << row % 32);
  }
  __syncthreads();
  if (t == 0) moving[task.number] = static_cast<unsigned long long>(words[1]) << 32 | words[0];
}

struct Copied {
  Now now;
  const float* from;
  float* to;
  __device__ __forceinline__ void operator()(int, int c) const {
    if (!stopped(now, true)) to[c] = from[c];
  }
};

dim3 tasks_of(const Group& group) { return dim3(static_cast<unsigned>(group.count)); }

}  // namespace

void uphill_squares(const Place& at, const Group& group, const Column& column, const Uphill& to) {
  start(at.stream, dim3(blocks_of(group.count, 32)), dim3(32), square_tasks, at.now, group, column,
        to);
}

void uphill_rate(const Place& at, int count, const Uphill& to) {
  start(at.stream, dim3(1), dim3(kThreads), find_rate, at.now, count, to);
}

void go_uphill(const Place& at, const Group& group, const Column& column, const Uphill& to) {
  start(at.stream, tasks_of(group), dim3(kThreads), move_tasks, at.now, group, column, to);
}

void come_back(const Place& at, const Group& group, const Column& column, const Uphill& from) {
  start(at.stream, tasks_of(group), dim3(kThreads), move_back, at.now, group, column, from);
}

void find_moving(const Place& at, const Group& group, const Column& column,
                 unsigned long long* moving) {
  start(at.stream, tasks_of(group), dim3(kThreads), look_at_rows, group, column, moving);
}

void keep_numbers(const Place& at, const float* from, long n, float* to) {
  Place one = at;
  one.rows = 1;
  each(one, static_cast<int>(n), Copied{at.now, from, to});
}

}  // namespace steep::cuda
