// A training that stays in one block: its shared memory as a step sees it, and activations. No kernel lives here.
#pragma once
#include "activations/list.h"
#include "cuda/kernels/kernel.cuh"
#include "cuda/kernels/resident.h"

namespace steep::cuda {

namespace resident_ops {

constexpr int kThreads = kResidentThreads, kWarps = kThreads / 32;

// Where number i of a column lies: four neighbours together, those of rows below each other on banks of their own.
STEEP_HD int swirled(int i) {
  const int quad = i / 4;
  return 4 * (quad ^ (quad / 8 % 8)) + i % 4;
}

// The block's memory, as a step sees it.
struct Room {
  std::byte* memory;
  const Resident& of;
  int turn;  // of the two places of what is read

  template <class T> __device__ __forceinline__ T* at(int place) const {
    return reinterpret_cast<T*>(memory + place);
  }
  template <class T> __device__ __forceinline__ T* of_turn(int place) const {
    return reinterpret_cast<T*>(memory + place + turn * of.at.next);
  }
  __device__ __forceinline__ float* column(int i) const {
    return at<float>(of.at.columns) + i * of.column;
  }
  __device__ __forceinline__ float* tensor(const Spot& s) const {
    return at<float>(of.at.tensors) + s.at + turn * s.next;
  }
  __device__ __forceinline__ View view(const Spot& s) const {
    return s.any() ? View{tensor(s), s.ld, s.columns} : View{};
  }
  __device__ __forceinline__ const StepRow& row() const { return *of_turn<StepRow>(of.at.row); }
  __device__ __forceinline__ int rows() const { return row().rows; }
};

STEEP_HD Four& four(float* p) { return *reinterpret_cast<Four*>(p); }
STEEP_HD const Four& four(const float* p) { return *reinterpret_cast<const Four*>(p); }

// ---- Activations ----

template <int kFirst, class F, class... More>
__device__ __forceinline__ Four values_by(int f, float alpha, const Four& x, List<F, More...>) {
  if constexpr (sizeof...(More) > 0)
    if (f != kFirst) return values_by<kFirst + 1>(f, alpha, x, List<More...>{});
  Four y;
#pragma unroll
  for (int i = 0; i < 4; ++i) y.of[i] = F::template value<float>(x.of[i], alpha);
  return y;
}
template <int kFirst, class F, class... More>
__device__ __forceinline__ Four grads_by(int f, float alpha, const Four& dy, const Four& stored,
                                         List<F, More...>) {
  if constexpr (sizeof...(More) > 0)
    if (f != kFirst) return grads_by<kFirst + 1>(f, alpha, dy, stored, List<More...>{});
  Four dx;
#pragma unroll
  for (int i = 0; i < 4; ++i) dx.of[i] = F::template grad<float>(dy.of[i], stored.of[i], alpha);
  return dx;
}
__device__ STEEP_CALLED Four activated(int f, float alpha, Four x) {
  return values_by<0>(f, alpha, x, activations::All{});
}
__device__ STEEP_CALLED Four sloped(int f, float alpha, Four dy, Four stored) {
  return grads_by<0>(f, alpha, dy, stored, activations::All{});
}

}  // namespace resident_ops

}  // namespace steep::cuda
