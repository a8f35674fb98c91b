// The part of CUDA that steep's kernels and runtime use, on the host, for tests on machines without
// a GPU: a .cu file compiled by g++ with this folder first in the include path runs on fibers, one
// for each CUDA thread. Nothing of it is in a build for users. What it cannot show: time, the weak
// order of memory between blocks, PTX, and what the driver or a library decides by itself.
//
//   g++ -x c++ -std=c++20 -O3 -mavx2 -mfma -ffp-contract=off -Iemulation -DSTEEP_ISA=cuda kernels.cu
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

// ---- Words of the language -----------------------------------------------------------------

#define __global__
#define __device__
#define __host__
#define __forceinline__ __attribute__((always_inline)) inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __restrict__ __restrict

struct uint3 { unsigned x, y, z; };
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

constexpr int warpSize = 32;

namespace emulation {

// The running thread's place in its block.
struct Here { int warp, lane; };
extern Here* here;

// A place in the source. Not a return address: the compiler may clone a call.
struct Site {
  const char* file;
  int line;
  bool operator==(const Site&) const = default;
};
void meet_block(Site site);
int meet_block_counting(int predicate, Site site);
// Leaves `size` bytes for the other lanes of the mask, waits for theirs, returns all 32 places. As on the
// chip this orders no other memory.
using Slot = unsigned char[16];
const Slot* exchange(unsigned mask, const void* mine, std::size_t size, Site site);
void meet_warp(unsigned mask, Site site);  // what was written before it is seen behind it
void* shared(std::size_t bytes, std::size_t alignment);
void* dynamic_shared();
[[noreturn]] void stop(const char* what, ...) __attribute__((format(printf, 1, 2)));

template <class T> T& shared_object() { return *static_cast<T*>(shared(sizeof(T), alignof(T))); }
template <class T> T lane_value(const Slot* slots, int lane) {
  T value;
  std::memcpy(&value, slots[lane & 31], sizeof(T));
  return value;
}

}  // namespace emulation

// The running thread's; the scheduler writes them whenever it turns to another one.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

#define EMULATION_HERE int line = __builtin_LINE(), const char *file = __builtin_FILE()

// One object of shared memory; the same for all threads of a block, poisoned before the first.
#define STEEP_SHARED(name, ...) auto& name = emulation::shared_object<__VA_ARGS__>()
#define STEEP_DYNAMIC_SHARED(name, T) T* const name = static_cast<T*>(emulation::dynamic_shared())

// ---- Barriers, shuffles, votes -------------------------------------------------------------

inline void __syncthreads(EMULATION_HERE) { emulation::meet_block({file, line}); }
inline int __syncthreads_or(int predicate, EMULATION_HERE) {
  return emulation::meet_block_counting(predicate, {file, line}) > 0;
}
inline int __syncthreads_count(int predicate, EMULATION_HERE) {
  return emulation::meet_block_counting(predicate, {file, line});
}
inline void __syncwarp(unsigned mask = 0xffffffffu, EMULATION_HERE) {
  emulation::meet_warp(mask, {file, line});
}

template <class T> T __shfl_sync(unsigned mask, T v, int from, int width = 32, EMULATION_HERE) {
  const auto* all = emulation::exchange(mask, &v, sizeof(T), {file, line});
  const int base = emulation::here->lane / width * width;
  return emulation::lane_value<T>(all, base + (from & (width - 1)));
}
template <class T> T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32, EMULATION_HERE) {
  const auto* all = emulation::exchange(mask, &v, sizeof(T), {file, line});
  const int lane = emulation::here->lane, from = lane ^ bits;
  return emulation::lane_value<T>(all, from / width > lane / width ? lane : from);
}
template <class T> T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32,
                                      EMULATION_HERE) {
  const auto* all = emulation::exchange(mask, &v, sizeof(T), {file, line});
  const int lane = emulation::here->lane, from = lane + static_cast<int>(by);
  return emulation::lane_value<T>(all, from / width > lane / width ? lane : from);
}
template <class T> T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32,
                                    EMULATION_HERE) {
  const auto* all = emulation::exchange(mask, &v, sizeof(T), {file, line});
  const int lane = emulation::here->lane, from = lane - static_cast<int>(by);
  return emulation::lane_value<T>(all, from < lane / width * width ? lane : from);
}
unsigned __ballot_sync(unsigned mask, int predicate, EMULATION_HERE);
inline int __any_sync(unsigned mask, int p, EMULATION_HERE) {
  return __ballot_sync(mask, p, line, file) != 0;
}
inline int __all_sync(unsigned mask, int p, EMULATION_HERE) {
  return __ballot_sync(mask, !p, line, file) == 0;
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline unsigned atomicAdd(unsigned* p, unsigned v) {
  return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}
inline int atomicMin(int* p, int v) {
  int old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (v < old &&
         !__atomic_compare_exchange_n(p, &old, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}
inline unsigned long long atomicMin(unsigned long long* p, unsigned long long v) {
  unsigned long long old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (v < old &&
         !__atomic_compare_exchange_n(p, &old, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}
inline unsigned atomicMax(unsigned* p, unsigned v) {
  unsigned old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (v > old &&
         !__atomic_compare_exchange_n(p, &old, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}
inline unsigned atomicOr(unsigned* p, unsigned v) {
  return __atomic_fetch_or(p, v, __ATOMIC_RELAXED);
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __float_as_uint(float x) { return __builtin_bit_cast(unsigned, x); }
inline float __uint_as_float(unsigned x) { return __builtin_bit_cast(float, x); }
template <class T> inline T __ldg(const T* p) { return *p; }

// ---- The runtime ---------------------------------------------------------------------------

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorIllegalAddress = 700,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901,
};
enum cudaMemcpyKind {
  cudaMemcpyHostToHost,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice,
  cudaMemcpyDefault
};
enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal,
  cudaStreamCaptureModeThreadLocal,
  cudaStreamCaptureModeRelaxed
};
enum cudaMemoryType {
  cudaMemoryTypeUnregistered,
  cudaMemoryTypeHost,
  cudaMemoryTypeDevice,
  cudaMemoryTypeManaged
};
struct cudaPointerAttributes {
  cudaMemoryType type;
  int device;
  void *devicePointer, *hostPointer;
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
};
constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2, cudaHostAllocDefault = 0;

struct CUstream_st;
struct CUevent_st;
struct CUgraph_st;
struct CUgraphExec_st;
struct CUgraphNode_st;
using cudaStream_t = CUstream_st*;
using cudaEvent_t = CUevent_st*;
using cudaGraph_t = CUgraph_st*;
using cudaGraphExec_t = CUgraphExec_st*;
using cudaGraphNode_t = CUgraphNode_st*;

struct cudaDeviceProp {
  char name[256];
  std::size_t totalGlobalMem, sharedMemPerBlockOptin;
  int major, minor, multiProcessorCount, l2CacheSize;
};
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
  void* attrs = nullptr;
  unsigned numAttrs = 0;
};

const char* cudaGetErrorString(cudaError_t);
const char* cudaGetErrorName(cudaError_t);
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();
cudaError_t cudaGetDeviceCount(int* n);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attr, int device);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total);
cudaError_t cudaMalloc(void** p, std::size_t bytes);
cudaError_t cudaFree(void* p);
cudaError_t cudaHostAlloc(void** p, std::size_t bytes, unsigned flags);
cudaError_t cudaFreeHost(void* p);
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* about, const void* p);
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream = nullptr);
cudaError_t cudaMemsetAsync(void* p, int value, std::size_t bytes, cudaStream_t stream = nullptr);
cudaError_t cudaMemset(void* p, int value, std::size_t bytes);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t s);
cudaError_t cudaStreamSynchronize(cudaStream_t s);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned flags = 0);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t e);
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s = nullptr);
cudaError_t cudaEventSynchronize(cudaEvent_t e);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to);
cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* g);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t g,
                                 unsigned long long flags = 0);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t s);
cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t s);
cudaError_t cudaGraphDestroy(cudaGraph_t g);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaGraphGetNodes(cudaGraph_t g, cudaGraphNode_t* nodes, std::size_t* count);

namespace emulation {

// A kernel with its arguments, as a launch takes them: by value, now.
cudaError_t launch(const void* kernel, const char* name, const cudaLaunchConfig_t& config,
                   std::function<void()> body);
cudaError_t allow_shared(const void* kernel, int bytes);

}  // namespace emulation

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  std::tuple<std::remove_cv_t<Parameters>...> held(std::forward<Arguments>(arguments)...);
  return emulation::launch(reinterpret_cast<const void*>(kernel), __PRETTY_FUNCTION__, *config,
                           [kernel, held] { std::apply(kernel, held); });
}
template <class F> cudaError_t cudaFuncSetAttribute(F* kernel, cudaFuncAttribute, int bytes) {
  return emulation::allow_shared(reinterpret_cast<const void*>(kernel), bytes);
}
template <class T> cudaError_t cudaMalloc(T** p, std::size_t bytes) {
  return cudaMalloc(reinterpret_cast<void**>(p), bytes);
}
