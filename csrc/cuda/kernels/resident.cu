// All steps of a call in one launch of one block. The ops of a step are in resident.cuh, the formulas of rules in
// rules/.
#include "cuda/kernels/resident.cuh"
#include "cuda/kernels/update.cuh"
#include "rules/list.h"

namespace steep::cuda {

namespace {

using namespace resident_ops;

// Lists, weights and slots; and back.
__device__ __forceinline__ void take(std::byte* memory, int place, const void* from, long bytes) {
  const auto* const words = static_cast<const int*>(from);
  for (int i = static_cast<int>(threadIdx.x); i < static_cast<int>(bytes / 4); i += kThreads)
    reinterpret_cast<int*>(memory + place)[i] = words[i];
}

__device__ STEEP_CALLED void come_in(const Resident& of, std::byte* memory) {
  const Room room{memory, of, 0};
  take(memory, of.at.nodes, of.nodes, of.node_count * static_cast<long>(sizeof(Node)));
  take(memory, of.at.shares, of.shares, of.share_count * static_cast<long>(sizeof(Share)));
  take(memory, of.at.moved, of.moved, of.moved_count * static_cast<long>(sizeof(Moved)));
  take(memory, of.at.tasks, of.tasks, of.task_count * static_cast<long>(sizeof(Task)));
  __syncthreads();
  const int t = static_cast<int>(threadIdx.x);
  for (int i = t; i < of.size / 4; i += kThreads) {
    four(room.column(0) + swirled(4 * i)) = four(of.weights + 4 * i);
    four(room.column(1) + swirled(4 * i)) = Four{};  // of padding it stays so
  }
  for (int p = 0; p < of.moved_count; ++p) {
    const Moved& moved = room.at<Moved>(of.at.moved)[p];
    for (int i = moved.offset / 4 + t; i < (moved.offset + moved.size) / 4; i += kThreads) {
      for (int k = 0; k < of.slots; ++k)
        four(room.column(2 + k) + swirled(4 * i)) = four(moved.ruled.slots[k] + 4 * i);
      if (of.averages)
        four(room.column(2 + of.slots) + swirled(4 * i)) = four(moved.ruled.average + 4 * i);
    }
  }
}

__device__ STEEP_CALLED void go_out(const Resident& of, std::byte* memory) {
  const Room room{memory, of, 0};
  const int t = static_cast<int>(threadIdx.x);
  for (int p = 0; p < of.moved_count; ++p) {
    const Moved& moved = room.at<Moved>(of.at.moved)[p];
    for (int i = moved.offset / 4 + t; i < (moved.offset + moved.size) / 4; i += kThreads) {
      four(of.weights + 4 * i) = four(room.column(0) + swirled(4 * i));
      for (int k = 0; k < of.slots; ++k)
        four(moved.ruled.slots[k] + 4 * i) = four(room.column(2 + k) + swirled(4 * i));
      if (of.averages)
        four(moved.ruled.average + 4 * i) = four(room.column(2 + of.slots) + swirled(4 * i));
    }
  }
}

// Penalties and limits of single elements, then the factor of each task, half a warp a task. False where the length is
// not finite; of one thread.
__device__ STEEP_CALLED bool limit(const Resident& of, std::byte* memory, int turn) {
  const Room room{memory, of, turn};
  const int t = static_cast<int>(threadIdx.x), lane = t % kHalf;
  float *const w = room.column(0), *const g = room.column(1);
  double* const squares = room.at<double>(of.at.squares);
  const float* const knobs = room.of_turn<float>(of.at.knobs);
  for (int first = 0; first + t / 32 * 2 < of.task_count; first += kThreads / kHalf) {
    const int i = first + t / kHalf;
    const bool there = i < of.task_count;
    const Task& task = room.at<Task>(of.at.tasks)[there ? i : first];
    const Moved& moved = room.at<Moved>(of.at.moved)[task.parameter];
    const Penalty penalty = penalty_of(knobs + moved.knobs, moved.ruled.decay != 0);
    const double sum = squares_in_turn(lane, there ? static_cast<int>(task.size) : 0, [&](int e) {
      const int at = swirled(static_cast<int>(task.offset) + e);
      return g[at] = penalty(g[at], w[at]);
    });
    if (there && lane == 0) squares[i] = sum;
  }
  __syncthreads();
  Clip clip = of.clip;
  clip.squares = squares;
  clip.lengths = room.at<double>(of.at.lengths);
  clip.scales = room.at<double>(of.at.scales);
  const bool finite =
      clip_all<kThreads>(clip, room.of_turn<double>(of.at.limits), *room.at<double>(of.at.whole));
  __syncthreads();
  return finite;
}

// One step of the rule for all weights; whether one is not finite any more.
template <class Rule>
__device__ STEEP_CALLED bool move_all(const Resident& of, std::byte* memory, int turn) {
  const Room room{memory, of, turn};
  constexpr int kSlots = slots_of<Rule>,
                kOwn =
                    static_cast<int>(sizeof(typename Rule::template Knobs<float>) / sizeof(float));
  const float* const row = room.of_turn<float>(of.at.knobs);
  float* const w = room.column(0);
  bool bad = false;
  int used = 0;
  for (int p = 0; p < of.moved_count; ++p) {
    const Moved& moved = room.at<Moved>(of.at.moved)[p];
    const int quads = moved.size / 4;
    const int t = (static_cast<int>(threadIdx.x) + kThreads - used) % kThreads;
    used = (used + (quads + 31) / 32 * 32) % kThreads;
    if (t >= quads) continue;
    typename Rule::template Knobs<float> knobs;
    const float* const group = row + moved.knobs;
#pragma unroll
    for (int i = 0; i < kOwn; ++i) reinterpret_cast<float*>(&knobs)[i] = group[kGroupKnobs + i];
    const Scale scale(of.apart ? room.at<double>(of.at.scales)[moved.first] : 1.0);
    const Mover<Rule, true> mover(knobs, row, group, moved.ruled.decay != 0, of.apart, scale, 0,
                                  of.averages);
    for (int i = t; i < quads; i += kThreads) {
      const int at = swirled(moved.offset + 4 * i);
      Four weight = four(w + at), average{}, s[kMostSlots];
      const Four g = four(w + of.column + at);
#pragma unroll
      for (int k = 0; k < kSlots; ++k) s[k] = four(w + (2 + k) * of.column + at);
      if (of.averages) average = four(w + (2 + kSlots) * of.column + at);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        float slot[kMostSlots];
#pragma unroll
        for (int k = 0; k < kSlots; ++k) slot[k] = s[k].of[j];
        const bool finite = mover(moved.ruled, weight.of[j], g.of[j], slot, average.of[j], true);
        bad = bad || !finite;
#pragma unroll
        for (int k = 0; k < kSlots; ++k) s[k].of[j] = slot[k];
      }
      four(w + at) = weight;
#pragma unroll
      for (int k = 0; k < kSlots; ++k) four(w + (2 + k) * of.column + at) = s[k];
      if (of.averages) four(w + (2 + kSlots) * of.column + at) = average;
    }
  }
  return bad;
}

// The rule is one of a list, as activations and losses are: a kernel each would hold ten times the code.
template <int kFirst, class R, class... More>
__device__ __forceinline__ bool move_by(const Resident& of, std::byte* memory, int turn,
                                        List<R, More...>) {
  if constexpr (sizeof...(More) > 0)
    if (of.rule != kFirst) return move_by<kFirst + 1>(of, memory, turn, List<More...>{});
  if constexpr (rules::kSums<R> == 0) return move_all<R>(of, memory, turn);
  return false;  // of no chain
}

__global__ void __launch_bounds__(kThreads)
    stay(Now now, const __grid_constant__ Resident of, int steps) {
  STEEP_DYNAMIC_SHARED(floats, float);
  auto* const memory = reinterpret_cast<std::byte*>(floats);
  const int t = static_cast<int>(threadIdx.x), from = now.cursor->at;
  if (now.cursor->bad_loss != 0 || now.cursor->bad_update != 0) return;
  come_in(of, memory);
  const auto read = [&](int step) {
    const long at = from + step;
    read_batch(of, memory, step % 2, now.rows + at, now.terms + at * now.count,
               now.knobs + at * now.columns, now.limits + at * now.columns, now.columns);
  };
  __syncthreads();
  read(0);
  __syncthreads();
  unsigned bad_loss = 0, bad_update = 0;  // moments
  for (int step = 0; step < steps && bad_loss == 0 && bad_update == 0; ++step) {
    const unsigned moment = (static_cast<unsigned>(from + step) + 1) * kObjectives;
    const int turn = step % 2;
    if (step + 1 < steps) read(step + 1);
    if (pass(of, memory, turn)) {
      bad_loss = moment;
      break;
    }
    share_out(of, memory, turn, from + step);
    __syncthreads();
    bool bad = false;
    if (of.apart) bad = !limit(of, memory, turn);
    const bool moved = move_by<0>(of, memory, turn, rules::All{});
    if (__syncthreads_or(bad || moved)) bad_update = moment;
  }
  go_out(of, memory);
  if (t != 0) return;
  now.cursor->at = from + steps;
  now.cursor->bad_loss = bad_loss;
  now.cursor->bad_update = bad_update;
}

template <class... R> bool one_pass(int rule, List<R...>) {
  static constexpr bool all[] = {(rules::kSums<R> == 0)...};
  return all[rule];
}

}  // namespace

bool stays(int rule) { return one_pass(rule, rules::All{}); }

void resident(const Place& at, const Resident& of, int steps) {
  start_with(static_cast<std::size_t>(of.at.bytes), at.stream, dim3(1), dim3(kThreads), stay,
             at.now, of, steps);
}

}  // namespace steep::cuda
