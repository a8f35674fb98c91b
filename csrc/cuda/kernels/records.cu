// Lengths of tasks in a recorded step, half a warp a task: each lane sums as a lane of the CPU's vectors does, so
// that a length is the CPU's to the bit. How activations are spread is in watch.cu.
#include "cuda/kernels/records.h"
#include "cuda/kernels/update.cuh"

namespace steep::cuda {

namespace {

constexpr int kBlock = 128;
constexpr int kRun = 32 * kHalf;  // elements whose squares are summed in float ...
constexpr int kTurns = 4;         // ... in so many sums where nothing else is done

// What squares of floats hold a sum of: below, what is flushed to 0 might be most of it.
__device__ __forceinline__ bool sound(double squares) { return squares > 1e-25 && squares < 1e30; }

// Sums of squares of what look(e) gives of n elements, a vector of sixteen at a time: runs in float, whose vectors take
// turns, those of all in double. A sum that floats do not hold is made again of wide(e). Every lane of a warp calls.
template <int kSums, class Look, class Wide>
__device__ double squares_of(int n, int lane, const Look& look, const Wide& wide) {
  static_assert(kSums == 1 || kSums == 4);
  double all = 0;
  for (int i = 0; i < n;) {
    const int end = i + kRun < n ? i + kRun : n;
    float part[kSums] = {};
    for (; i + (kSums - 1) * kHalf < end; i += kSums * kHalf)
#pragma unroll
      for (int k = 0; k < kSums; ++k) {
        const float x = look(i + k * kHalf + lane);
        part[k] = fma_(x, x, part[k]);
      }
    for (; i < end; i += kHalf) {
      const float x = look(i + lane);
      part[0] = fma_(x, x, part[0]);
    }
    if constexpr (kSums == 4) part[0] = (part[0] + part[1]) + (part[2] + part[3]);
    all += static_cast<double>(part[0]);
  }
  all = fold_lanes(all);
  if (!__any_sync(kAll, !sound(all))) return all;
  double again = 0;
  for (int i = lane; i < n; i += kHalf) {
    const double x = wide(i);
    again = fma_(x, x, again);
  }
  again = fold_lanes(again);
  return sound(all) ? all : again;
}

// The task of a half warp; of those past the last one the size is 0.
struct Mine {
  Task task;
  int lane, size;
  bool first;  // the lane that writes
  __device__ __forceinline__ explicit Mine(const Group& group)
      : lane(static_cast<int>(threadIdx.x) % kHalf) {
    const int i = static_cast<int>((blockIdx.x * kBlock + threadIdx.x) / kHalf);
    const bool there = i < group.count;
    task = group.tasks[there ? i : group.count - 1];
    size = there ? task.size : 0;
    first = there && lane == 0;
  }
};

// Does the CPU's sweep, which moves the weights, sum while it is there?
__device__ __forceinline__ bool sweeps(const Noted& to, const Ruled& ruled) {
  return to.sweeps && ruled.average == nullptr && !ruled.bounded && !ruled.waits &&
         ruled.panels == 0;
}

// Of a rule that looks ahead, a weight is found from the point.
__device__ __forceinline__ float weight_at(const Now& now, const Column& column, const Noted& to,
                                           const Task& task, int look, long at) {
  if (to.v < 0) return column.w[at];
  return rules::weight_of_point(column.w[at], column.ruled[task.parameter].slots[to.v][at],
                                knobs_of(now)[look]);
}

// The gradient with its penalties, and what is left of it where single elements have a limit: sums in double where
// the CPU finishes it, in float where it has nothing to do but in its sweep.
__global__ void __launch_bounds__(kBlock)
    look_before(Now now, Group group, Column column, Noted to, bool apart) {
  const Mine mine(group);
  const Task& task = mine.task;
  const double* const wide = now.limits + static_cast<long>(here(now)) * now.columns + now.first;
  const double* const own = wide + group.knobs;
  const bool limits = own[kClipValue] < __builtin_inf(),
             plain = own[kL1] == 0 && own[kL2] == 0 && !limits && !apart;
  Penalty penalty =
      penalty_of(knobs_of(now) + group.knobs, column.ruled[task.parameter].decay != 0);
  const Penalty limit{0.0f, 0.0f, penalty.bound};
  penalty.bound = __builtin_inff();
  for (int e = mine.lane; e < mine.size; e += kHalf)
    to.kept[task.offset + e] = weight_at(now, column, to, task, to.look, task.offset + e);
  double gradient, clipped;
  if (plain) {  // the same for all threads
    const auto g = [&](int e) { return column.g[task.offset + e]; };
    const bool swept = sweeps(to, column.ruled[task.parameter]);
    const double by_sweep = squares_of<1>(mine.size, mine.lane, g, g),
                 by_look = squares_of<kTurns>(mine.size, mine.lane, g, g);
    clipped = gradient = swept ? by_sweep : by_look;
  } else {
    const auto finished = [&](long at) { return penalty(column.g[at], column.w[at]); };
    gradient =
        squares_in_turn(mine.lane, mine.size, [&](int e) { return finished(task.offset + e); });
    clipped = !limits ? gradient : squares_in_turn(mine.lane, mine.size, [&](int e) {
      return limit(finished(task.offset + e), 0.0f);
    });
  }
  if (!mine.first) return;
  to.norms[task.number].gradient = gradient;
  to.norms[task.number].clipped = clipped;
}

// Of gradients that are taken times a factor; of one that would be flushed to 0 the first part is in the gradient.
__global__ void __launch_bounds__(kBlock) look_at_scaled(Group group, Column column, Noted to) {
  const Mine mine(group);
  const Scale scale(column, mine.task);
  const double factor = column.scales[mine.task.number],
               by = scale.first != 1.0f ? factor / static_cast<double>(scale.first) : factor;
  const auto g = [&](int e) {
    const float x = column.g[mine.task.offset + e];
    return scale.first != 1.0f ? x * scale.first : x;
  };
  const double squares = squares_of<kTurns>(mine.size, mine.lane, g, g);
  if (mine.first && by != 1) to.norms[mine.task.number].clipped = by * by * squares;
}

// Runs in float, those of all in double, as the CPU's sweep sums while it moves weights; sums that floats do not hold
// are made again.
__global__ void __launch_bounds__(kBlock)
    look_after(Now now, Group group, Column column, Noted to) {
  const Mine mine(group);
  const Task& task = mine.task;
  const auto before = [&](int e) { return to.kept[task.offset + e]; };
  const auto after = [&](int e) {
    return weight_at(now, column, to, task, to.look_next, task.offset + e);
  };
  const bool swept = sweeps(to, column.ruled[task.parameter]);
  double weight = 0, update = 0;
  for (int i = 0, n = swept ? mine.size : 0; i < n;) {
    const int end = i + kRun < n ? i + kRun : n;
    float sum = 0, moved = 0;
    for (; i < end; i += kHalf) {
      const float from = before(i + mine.lane), apart = after(i + mine.lane) - from;
      sum = fma_(from, from, sum);
      moved = fma_(apart, apart, moved);
    }
    weight += static_cast<double>(sum);
    update += static_cast<double>(moved);
  }
  weight = fold_lanes(weight);
  update = fold_lanes(update);
  const bool good = swept && sound(weight) && sound(update);
  if (__any_sync(kAll, !good)) {
    const double length = squares_of<kTurns>(mine.size, mine.lane, before, before);
    const double way = squares_of<kTurns>(
        mine.size, mine.lane, [&](int e) { return after(e) - before(e); },
        [&](int e) { return static_cast<double>(after(e)) - static_cast<double>(before(e)); });
    if (!good) weight = length, update = way;
  }
  if (!mine.first) return;
  to.norms[task.number].weight = weight;
  to.norms[task.number].update = update;
}

// Parts of tasks in their order.
__global__ void __launch_bounds__(64)
    put_lengths(Now now, const TaskNorms* norms, const int* first, int parameters, RecordTable to) {
  const int p = static_cast<int>(blockIdx.x * 64 + threadIdx.x);
  if (p >= parameters) return;
  TaskNorms sums{};
  for (int i = first[p]; i < first[p + 1]; ++i) {
    sums.weight += norms[i].weight;
    sums.gradient += norms[i].gradient;
    sums.clipped += norms[i].clipped;
    sums.update += norms[i].update;
  }
  const bool moved = first[p] < first[p + 1];
  const auto length = [&](double x) { return moved ? __builtin_sqrt(x) : __builtin_nan(""); };
  double* const row = to.rows + to.row[here(now)] * to.columns + 4l * p;
  row[0] = length(sums.weight);
  row[1] = length(sums.gradient);
  row[2] = length(sums.clipped);
  row[3] = length(sums.update);
}

unsigned blocks(const Group& group) {
  return blocks_of(static_cast<long>(group.count) * kHalf, kBlock);
}

}  // namespace

void note_before(const Place& at, const Group& group, const Column& column, const Noted& to,
                 bool apart) {
  start(at.stream, dim3(blocks(group)), dim3(kBlock), look_before, at.now, group, column, to,
        apart);
}

void note_clipped(const Place& at, const Group& group, const Column& column, const Noted& to) {
  start(at.stream, dim3(blocks(group)), dim3(kBlock), look_at_scaled, group, column, to);
}

void note_after(const Place& at, const Group& group, const Column& column, const Noted& to) {
  start(at.stream, dim3(blocks(group)), dim3(kBlock), look_after, at.now, group, column, to);
}

void put_norms(const Place& at, const TaskNorms* norms, const int* first, int parameters,
               const RecordTable& to) {
  start(at.stream, dim3(blocks_of(parameters, 64)), dim3(64), put_lengths, at.now, norms, first,
        parameters, to);
}

}  // namespace steep::cuda
