// What the kernels of an update share: where knobs are, how an average follows a weight and a bound takes it back. No
// kernel lives here.
#pragma once
#include "cuda/kernels/kernel.cuh"
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
  __device__ __forceinline__ Scale(const Column& column, const Task& task) {
    constexpr double kLeastFactor = 0x1p-60;
    double factor = column.scales ? column.scales[task.number] : 1.0;
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

}  // namespace steep::cuda
