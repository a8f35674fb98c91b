// What the kernels of an update share: where knobs are, how an average follows a weight and a bound takes it back. No
// kernel lives here.
#pragma once
#include "cuda/kernels/kernel.cuh"
#include "rules/knobs.h"
#include "rules/look_ahead.h"

namespace steep::cuda {

// The shared knobs of a group, as plan/rules.h has them.
enum { kL1, kL2, kClipValue, kClipParameter, kDecay, kGroupKnobs };
// Of all groups.
enum { kClipNorm, kStart, kAverage, kPull, kSharpness };

__device__ __forceinline__ const float* knobs_of(const Now& now) {
  return now.knobs + static_cast<long>(here(now)) * now.columns + now.first;
}

// What the average of a weight does in a step. Of look-ahead rules the weight is found from the point.
template <bool kAhead>
__device__ __forceinline__ void follow(float& average, float& w, float v, float look, float rate,
                                       bool pull) {
  const float weight = kAhead ? rules::look_back_weight(w, v, look) : w;
  average = rate == 1.0f ? weight : fma_(rate, weight - average, average);
  if (pull) w = kAhead ? rules::look_ahead_point(average, v, look) : average;
}

// What a gradient is multiplied by that was clipped with others; a factor that would be flushed to 0 comes in two
// parts.
struct Scale {
  float first = 1.0f, second = 1.0f;
  __device__ __forceinline__ Scale(const Column& column, const Task& task)
      : Scale(column.scales ? column.scales[task.number] : 1.0) {}
  __device__ __forceinline__ explicit Scale(double factor) {
    constexpr double kLeastFactor = 0x1p-60;
    if (factor > 0 && factor < kLeastFactor) {
      first = static_cast<float>(kLeastFactor);
      factor /= kLeastFactor;
    }
    second = static_cast<float>(factor);
  }
  __device__ __forceinline__ float operator()(float g) const {
    return (first != 1.0f ? g * first : g) * second;
  }
};

// The rule's own knobs of a group.
template <class Rule>
__device__ __forceinline__ typename Rule::template Knobs<float> own_knobs(const float* group) {
  typename Rule::template Knobs<float> knobs;
  constexpr int count = static_cast<int>(sizeof(knobs) / sizeof(float));
  for (int i = 0; i < count; ++i) reinterpret_cast<float*>(&knobs)[i] = group[kGroupKnobs + i];
  return knobs;
}

// A weight between its bounds; of a look-ahead rule that whose point this is.
template <bool kAhead>
__device__ __forceinline__ void bring_back(const Ruled& r, float& w, float v, float look) {
  if (kAhead && look != 0.0f) {
    const float weight = rules::weight_of_point(w, v, look);
    w = rules::look_ahead_point(r.within(weight), v, look);
  } else {
    w = r.within(w);
  }
}

// Outside of the kernel: nvcc refuses a call of std::array::size() in it, constant or not.
template <class Rule>
constexpr int slots_of = rules::kFactored<Rule> ? 0 : static_cast<int>(Rule::kSlots.size());

// A rule whose step has the decay for an argument does with it what it says; of others the weight loses it
// before.
template <class Rule>
STEEP_HD void step(float& weight, float g, float* s,
                   const typename Rule::template Knobs<float>& knobs, float decay) {
  if constexpr (requires { Rule::template step<float>(weight, g, s, knobs, decay); }) {
    Rule::template step<float>(weight, g, s, knobs, decay);
  } else {
    weight = fma_(-decay, weight, weight);
    Rule::template step<float>(weight, g, s, knobs);
  }
}

struct Penalty {
  float l1, l2, bound;
  STEEP_HD float operator()(float g, float w) const {
    float x = l1 == 0.0f && l2 == 0.0f ? g : fma_(l1, sign_(w), fma_(l2, w, g));
    x = x > bound ? bound : x;  // written so that NaN passes
    return x < -bound ? -bound : x;
  }
};
// Of a parameter, from its group's knobs.
__device__ __forceinline__ Penalty penalty_of(const float* group, bool decay) {
  return {decay ? group[kL1] : 0.0f, decay ? group[kL2] : 0.0f, group[kClipValue]};
}

// The sum of squares, in double, of what look(e) gives of a task's elements, by half a warp: lane j has elements j, j+16,
// ... in kSquareTurns sums, which take turns and fold as those of the CPU do that finish a gradient.
template <class Look>
__device__ __forceinline__ double squares_in_turn(int lane, int size, Look&& look) {
  static_assert(kSquareTurns == 4);
  double sum[kSquareTurns] = {};
  for (int first = lane; first < size; first += kSquareTurns * kHalf) {
#pragma unroll
    for (int turn = 0; turn < kSquareTurns; ++turn) {
      const int e = first + turn * kHalf;
      if (e >= size) continue;
      const double x = static_cast<double>(look(e));
      sum[turn] = fma_(x, x, sum[turn]);
    }
  }
  return fold_lanes((sum[0] + sum[2]) + (sum[1] + sum[3]));
}

// What moves each weight of a parameter in a step: of a gradient that is not finished, of the knobs of all groups and
// of its own.
template <class Rule, bool kFollowed> struct Mover {
  static constexpr int kSlots = slots_of<Rule>;
  static constexpr bool kTwice = rules::kSums<Rule> > 0;
  typename Rule::template Knobs<float> knobs;
  Penalty penalty;
  bool plain, begins, pulls;
  float decay, rate, factor;
  Scale scale;

  __device__ __forceinline__ Mover(const typename Rule::template Knobs<float>& own,
                                   const float* row, const float* group, bool decays, bool finished,
                                   const Scale& scaled, float by, bool follows = kFollowed)
      : knobs(own), penalty(penalty_of(group, decays)),
        plain(
            kTwice || finished ||
            (group[kL1] == 0.0f && group[kL2] == 0.0f && !(group[kClipValue] < __builtin_inff()))),
        begins(follows && row[kStart] != 0.0f), pulls(follows && row[kPull] != 0.0f),
        decay(decays ? group[kDecay] : 0.0f), rate(follows ? row[kAverage] : 0.0f), factor(by),
        scale(scaled) {}

  // Whether the new weight is finite. One that does not move may still be bounded, and its average follow.
  __device__ __forceinline__ bool operator()(const Ruled& ruled, float& weight, float gradient,
                                             float* slot, float& average, bool moves) const {
    const auto passed = [&](float look, float by, bool pull) {
      if constexpr (kFollowed)
        follow<Rule::kLookAhead>(average, weight, Rule::kLookAhead ? slot[kSlots - 1] : 0.0f, look,
                                 by, pull);
    };
    float look = 0, look_next = 0;
    if constexpr (Rule::kLookAhead) look = knobs.look, look_next = knobs.look_next;
    if (!plain) gradient = penalty(gradient, weight);
    if (begins) passed(look, 1.0f, false);
    if constexpr (Rule::kLookAhead)
      weight = rules::look_back_weight(weight, slot[kSlots - 1], look);
    if constexpr (kTwice) {
      if constexpr (!rules::kFactored<Rule> && !rules::kOrthogonal<Rule>)
        gradient = scale(gradient);  // a direction is as it is
      Rule::template step<float>(weight, rules::kKeepsGradient<Rule> ? gradient : 0.0f, slot, knobs,
                                 decay, factor);
    } else if (moves) {
      step<Rule>(weight, scale(gradient), slot, knobs, decay);
    }
    if constexpr (Rule::kLookAhead)
      weight = rules::look_ahead_point(weight, slot[kSlots - 1], look_next);
    const bool finite = is_finite(weight);
    const float v = Rule::kLookAhead ? slot[kSlots > 0 ? kSlots - 1 : 0] : 0.0f;
    if (ruled.bounded) bring_back<Rule::kLookAhead>(ruled, weight, v, look_next);
    if ((rate != 0.0f || pulls) && !ruled.waits) passed(look_next, rate, pulls);
    if (ruled.bounded && pulls) bring_back<Rule::kLookAhead>(ruled, weight, v, look_next);
    return finite;
  }
};

// At or below its limit a gradient stays as it is, to the bit.
__device__ __forceinline__ double clipped(const Clip& c, const double* row, int p) {
  const double most = row[c.knobs[p] + kClipParameter], length = c.lengths[p];
  return length > most ? most / length : 1.0;
}

// Length of every parameter's gradient, then of all of it, in the order of tasks; whether that is finite. `all` is for
// the whole block.
template <int kBlock>
__device__ __forceinline__ bool clip_all(const Clip& c, const double* row, double& all) {
  const int t = static_cast<int>(threadIdx.x);
  bool finite = true;
  for (int p = t; p < c.parameters; p += kBlock) {
    double sum = 0;
    for (int i = c.first[p]; i < c.first[p + 1]; ++i) sum += c.squares[i];
    c.lengths[p] = __builtin_sqrt(sum);
  }
  __syncthreads();
  if (t == 0) {
    double sum = 0;
    for (int p = 0; p < c.parameters; ++p) {
      const double factor = clipped(c, row, p);
      for (int i = c.first[p]; i < c.first[p + 1]; ++i)
        sum += factor < 1 ? factor * factor * c.squares[i] : c.squares[i];
    }
    const double total = __builtin_sqrt(sum), most = row[kClipNorm];
    all = total > most ? most / total : 1.0;
    finite = is_finite(total);
  }
  __syncthreads();
  for (int p = t; p < c.parameters; p += kBlock) {
    const double factor = all * clipped(c, row, p);
    for (int i = c.first[p]; i < c.first[p + 1]; ++i) c.scales[i] = factor;
  }
  return finite;
}

}  // namespace steep::cuda
