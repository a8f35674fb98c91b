// What the kernels of an update share: where knobs are, how an average follows a weight and a bound takes it back. No
// kernel lives here.
#pragma once
#include "cuda/kernels/kernel.cuh"
#include "rules/look_ahead.h"

namespace steep::cuda {

// The shared knobs of a group, as plan/rules.h has them.
enum { kL1, kL2, kClipValue, kClipParameter, kDecay, kGroupKnobs };
// Of all groups.
enum { kClipNorm, kStart, kAverage, kPull };

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
