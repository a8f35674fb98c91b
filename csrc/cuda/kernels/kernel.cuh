// What every kernel file needs: the one word that differs between a device and its emulation, how a step is
// read, how a kernel is enqueued, and sums by half a warp.
#pragma once
#include "base/math.h"
#include "cuda/kernels/launch.h"
#include "cuda/kernels/storage.cuh"

// One object of shared memory; arrays too.
#if !defined(STEEP_SHARED)
#define STEEP_SHARED(name, ...) __shared__ SharedType<__VA_ARGS__> name
#endif
// As much as the launch says.
#if !defined(STEEP_DYNAMIC_SHARED)
#define STEEP_DYNAMIC_SHARED(name, T)    \
  extern __shared__ Four name##_fours[]; \
  T* const name = reinterpret_cast<T*>(name##_fours)
#endif
// A function of the device that is called, not copied to where it is used.
#if defined(__CUDACC__)
#define STEEP_CALLED __noinline__
#else
#define STEEP_CALLED __attribute__((noinline))
#endif

namespace steep::cuda {

template <class T> using SharedType = T;

constexpr unsigned kAll = 0xffffffffu;  // lanes
constexpr int kHalf = 16;               // lanes that share a row, as the CPU's explicit ones do

// Four neighbours that start at p, of which there are `left`.
STEEP_HD Four four_at(const float* p, bool aligned, int left) {
  if (aligned && left >= 4) return *reinterpret_cast<const Four*>(p);
  Four x;
#pragma unroll
  for (int i = 0; i < 4; ++i) x.of[i] = i < left ? p[i] : 0.0f;
  return x;
}
STEEP_HD FourBrains four_at(const Brain* p, bool aligned, int left) {
  if (aligned && left >= 4) return *reinterpret_cast<const FourBrains*>(p);
  FourBrains x{};
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (i < left) set(x, i, p[i]);
  return x;
}

__device__ __forceinline__ int here(const Now& now) { return now.cursor->at + now.ahead; }
__device__ __forceinline__ int part_of(const Now& now) {
  return now.parts > 1 ? here(now) * now.parts + now.part : here(now);
}
__device__ __forceinline__ const StepRow& row_of(const Now& now) { return now.rows[part_of(now)]; }
__device__ __forceinline__ unsigned when(const Now& now) {
  return (static_cast<unsigned>(here(now)) + 1) * kObjectives +
         static_cast<unsigned>(now.objective);
}
// May this objective of this step change anything? One that is bad itself only ends the others.
__device__ __forceinline__ bool stopped(const Now& now, bool by_own_loss) {
  const unsigned mine = when(now);
  const unsigned loss = now.cursor->bad_loss, update = now.cursor->bad_update;
  return (loss != 0 && (by_own_loss ? loss <= mine : loss < mine)) ||
         (update != 0 && update < mine);
}

// Notes that a loss, or what is as good as one, is not finite.
__device__ __forceinline__ void note_bad(const Now& now) {
  atomicMax(now.again ? &now.cursor->bad_update : &now.cursor->bad_loss, when(now));
}

inline unsigned blocks_of(long n, long each) {
  return static_cast<unsigned>((n + each - 1) / each);
}

// Nothing where there is no block, which the runtime refuses. With so many bytes of dynamic shared memory, ...
template <class... Parameters, class... Arguments>
void start_with(std::size_t bytes, cudaStream_t stream, dim3 grid, dim3 block,
                void (*kernel)(Parameters...), const Arguments&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  constexpr std::size_t kWithoutAsking = 48 << 10;
  if (bytes > kWithoutAsking) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(bytes)),
          "shared memory");
  }
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = bytes;
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), "a kernel");
}
// ... or without.
template <class... Parameters, class... Arguments>
void start(cudaStream_t stream, dim3 grid, dim3 block, void (*kernel)(Parameters...),
           const Arguments&... arguments) {
  start_with(0, stream, grid, block, kernel, arguments...);
}

// Adds what 16 lanes hold as the CPU folds them, halves onto halves; every lane gets it.
template <class T> __device__ __forceinline__ T fold_lanes(T x) {
#pragma unroll
  for (int half = kHalf / 2; half > 0; half /= 2) x += __shfl_down_sync(kAll, x, half, kHalf);
  return __shfl_sync(kAll, x, 0, kHalf);
}

// Half a warp a position: lane j has columns j, j+16, ...; sums fold as the CPU's. Of many positions those of
// a row lie behind each other.
struct Part {
  int lane, columns;
  long r, from;
  bool there;
  __device__ Part(int rows, int positions, int width)
      : lane(static_cast<int>(threadIdx.x) % kHalf) {
    const long i = (static_cast<long>(blockIdx.x) * 64 + threadIdx.x) / kHalf;
    r = i / positions;
    from = i % positions * (width / positions);
    there = r < rows;
    columns = there ? width / positions : 0;
  }
  __device__ long place(const View& x) const { return r * x.ld + from; }
  __device__ float* of(const View& x) const { return x.data + place(x); }
};

template <class T> STEEP_HD bool is_finite(T x) {
  return (bits_(x) & BitsOf<T>::kMagnitude) < BitsOf<T>::kInfinity;
}

}  // namespace steep::cuda
