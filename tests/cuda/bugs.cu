// Planted bugs for tests of the emulation: bugs NAME prints the result's checksum or what was reported. Each
// has a right twin: bugs NAME good. Nothing of steep's own is tested here.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "cuda/kernels/tensor.cuh"

using namespace steep::cuda;

// Errors are printed at the end, and not thrown.
static cudaError_t failed = cudaSuccess;
void steep::cuda::check(cudaError_t error, const char*) {
  if (error != cudaSuccess) failed = error;
}

extern "C" void emulation_set(const char*, long);

template <bool good> __global__ void raw(const float* x,
                                         float* y) {  // shared: write, read neighbour
  STEEP_SHARED(s, float[256]);
  const int t = threadIdx.x;
  s[t] = x[blockIdx.x * 256 + t];
  if (good) __syncthreads();
  y[blockIdx.x * 256 + t] = s[t ^ 33];  // another warp's
}
template <bool good> __global__ void war(const float* x, float* y) {  // shared: reused too early
  STEEP_SHARED(s, float[256]);
  const int t = threadIdx.x;
  float sum = 0;
  for (int i = 0; i < 4; ++i) {
    s[t] = x[(blockIdx.x * 4 + i) * 256 + t];
    __syncthreads();
    sum += s[255 - t];
    if (good) __syncthreads();
  }
  y[blockIdx.x * 256 + t] = sum;
}
template <bool good> __global__ void warp(const float* x, float* y) {  // inside one warp
  STEEP_SHARED(s, float[256]);
  const int t = threadIdx.x;
  s[t] = x[blockIdx.x * 256 + t];
  if (good) __syncwarp();
  y[blockIdx.x * 256 + t] = s[t ^ 1];
}
template <bool good> __global__ void shuffled(const float* x, float* y) {  // orders no memory
  STEEP_SHARED(s, float[256]);
  const int t = threadIdx.x;
  s[t] = x[blockIdx.x * 256 + t];
  const float other = __shfl_xor_sync(0xffffffffu, s[t], 2);
  if (good) __syncwarp();
  y[blockIdx.x * 256 + t] = s[t ^ 1] - other;
}
template <bool good> __global__ void global_bounds(const float* x, float* y, int n) {
  const int i = blockIdx.x * 256 + threadIdx.x;
  if (good && i >= n) return;
  y[i] = x[i] + 1;
}
template <bool good> __global__ void shared_bounds(const float* x, float* y) {
  STEEP_SHARED(s, float[255 + good]);
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = s[0];
}
template <bool good> __global__ void misaligned(const float* x, float* y) {  // 16 bytes at once
  const float* const at = x + 4 * threadIdx.x + 1;
  const Four v = good ? Four{at[0], at[1], at[2], at[3]} : *reinterpret_cast<const Four*>(at);
  y[threadIdx.x] = v.of[0] + v.of[3];
}
template <bool good> __global__ void uninitialised(float* y) {
  STEEP_SHARED(s, float[256]);
  if (good || threadIdx.x < 255) s[threadIdx.x] = 1;
  __syncthreads();
  float sum = 0;
  for (int i = 0; i < 256; ++i) sum += s[i];
  y[threadIdx.x] = sum;
}
template <bool good> __global__ void divergent(float* y) {
  STEEP_SHARED(s, float[256]);
  s[threadIdx.x] = 1;
  if (good || threadIdx.x < 100) __syncthreads();
  y[threadIdx.x] = s[0];
}
template <bool good> __global__ void early_return(float* y, int n) {
  if (!good && static_cast<int>(threadIdx.x) >= n) return;
  float x = 1;
  for (int h = 16; h > 0; h /= 2) x += __shfl_down_sync(0xffffffffu, x, h);
  if (static_cast<int>(threadIdx.x) < n) y[threadIdx.x] = x;
}
// Tensor cores: a warp's fragments from words that all warps lay in shared memory.
template <bool good, bool kWait> __device__ void fragments(const float* x, float* y) {
  STEEP_SHARED(s, uint32_t[256]);
  const int t = threadIdx.x, lane = t % 32;
  s[t] = TF32::word({x[t]});
  if (good || kWait) __syncthreads();
  const uint32_t a[4] = {s[255 - t], s[t ^ 32], s[t ^ 64], s[t ^ 96]}, b[2] = {s[t ^ 128], s[t]};
  float d[4] = {};
  if (good || !kWait || lane < 20) TF32::multiply(d, a, b);
  y[t] = d[0] + d[1] + d[2] + d[3];
}
template <bool good> __global__ void fragments_early(const float* x, float* y) {
  fragments<good, false>(x, y);
}
template <bool good> __global__ void fragments_in_a_branch(const float* x, float* y) {
  fragments<good, true>(x, y);
}
template <bool good> __global__ void across_blocks(const float* x, float* y) {
  y[threadIdx.x + (good ? blockIdx.x * 256 : 0)] = x[blockIdx.x * 256 + threadIdx.x];
}
template <bool good> __global__ void counted(unsigned* count) {
  if (good)
    atomicAdd(count, 1u);
  else
    *count += 1;
}

static double checksum(const std::vector<float>& v) {
  double s = 0;
  for (std::size_t i = 0; i < v.size(); ++i) s += double(v[i]) * double(i % 97 + 1);
  return s;
}

int main(int argc, char** argv) {
  const std::string name = argv[1];
  const bool good = argc > 2;
  constexpr int N = 1024;
  cudaStream_t s{}, s2{};
  cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking);
  cudaStreamCreateWithFlags(&s2, cudaStreamNonBlocking);
  std::vector<float> host(4 * N), back(N, 0.0f);
  for (int i = 0; i < 4 * N; ++i) host[i] = float(i % 251);
  float *x{}, *y{};
  cudaMalloc(&x, 4 * N * sizeof(float));
  cudaMalloc(&y, N * sizeof(float));
  cudaMemcpyAsync(x, host.data(), 4 * N * sizeof(float), cudaMemcpyHostToDevice, s);
  cudaMemsetAsync(y, 0, N * sizeof(float), s);
  const dim3 g(4), b(256), one(1);
  cudaError_t e{};

#define TRY(kernel, grid, block, ...)                       \
  if (name == #kernel)                                      \
    good ? start(s, grid, block, kernel<true>, __VA_ARGS__) \
         : start(s, grid, block, kernel<false>, __VA_ARGS__);
  const float* cx = x;
  TRY(raw, g, b, cx, y)
  TRY(war, g, b, cx, y)
  TRY(warp, g, b, cx, y)
  TRY(shuffled, g, b, cx, y)
  if (name == "global_bounds") {
    float *p{}, *q{};
    cudaMalloc(&p, 1000 * sizeof(float));
    cudaMalloc(&q, 1000 * sizeof(float));
    cudaMemsetAsync(p, 0, 4000, s);
    good ? start(s, g, b, global_bounds<true>, (const float*)p, q, 1000)
         : start(s, g, b, global_bounds<false>, (const float*)p, q, 1000);
  }
  TRY(shared_bounds, one, b, cx, y)
  TRY(misaligned, one, b, cx, y)
  TRY(uninitialised, one, b, y)
  TRY(divergent, one, b, y)
  TRY(early_return, one, b, y, 50)
  TRY(fragments_early, one, b, cx, y)
  TRY(fragments_in_a_branch, one, b, cx, y)
  TRY(across_blocks, g, b, cx, y)
  if (name == "counted") {
    unsigned* c = reinterpret_cast<unsigned*>(y);
    good ? start(s, g, b, counted<true>, c) : start(s, g, b, counted<false>, c);
  }
  if (name == "read_too_early") {  // the host reads before it has waited
    start(s, g, b, across_blocks<true>, cx, y);
    if (good) cudaStreamSynchronize(s);
    cudaMemcpy(back.data(), y, N * sizeof(float), cudaMemcpyDeviceToHost);
    std::printf("%.1f\n", checksum(back));
    return 0;
  }
  if (name == "two_streams") {  // the second stream does not wait for the first
    cudaStreamSynchronize(s);
    start(s, g, b, across_blocks<true>, cx + 5, y);
    cudaEvent_t ready{};
    cudaEventCreateWithFlags(&ready, cudaEventDisableTiming);
    cudaEventRecord(ready, s);
    if (good) cudaStreamWaitEvent(s2, ready);
    start(s2, g, b, across_blocks<true>, (const float*)y, x);
    cudaStreamSynchronize(s2);
    cudaStreamSynchronize(s);
    cudaMemcpy(back.data(), x, N * sizeof(float), cudaMemcpyDeviceToHost);
    std::printf("%.1f\n", checksum(back));
    return 0;
  }
  if (name == "pinned_reuse") {  // a pinned buffer is written again before its copy has run
    float* pin{};
    cudaHostAlloc(reinterpret_cast<void**>(&pin), N * sizeof(float), 0);
    for (int i = 0; i < N; ++i) pin[i] = 1;
    cudaMemcpyAsync(y, pin, N * sizeof(float), cudaMemcpyHostToDevice, s);
    if (good) cudaStreamSynchronize(s);
    for (int i = 0; i < N; ++i) pin[i] = 2;
  }
  if (name == "host_touches") {
    emulation_set("guard", 1);
    float* p{};
    cudaMalloc(&p, 4096);
    if (!good) std::printf("%f\n", p[3]);
    std::puts("untouched");
    return 0;
  }
  if (name == "capture_malloc") {
    cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal);
    float* p{};
    if (!good) e = cudaMalloc(&p, 64);
    cudaGraph_t graph{};
    cudaStreamEndCapture(s, &graph);
    std::printf("%s\n", cudaGetErrorName(e));
    return 0;
  }
  if (name == "unjoined") {
    cudaEvent_t fork{}, join{};
    cudaEventCreateWithFlags(&fork, cudaEventDisableTiming);
    cudaEventCreateWithFlags(&join, cudaEventDisableTiming);
    cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal);
    start(s, g, b, across_blocks<true>, cx, y);
    cudaEventRecord(fork, s);
    cudaStreamWaitEvent(s2, fork);
    start(s2, g, b, across_blocks<true>, cx, y);
    cudaEventRecord(join, s2);
    if (good) cudaStreamWaitEvent(s, join);
    cudaGraph_t graph{};
    std::printf("%s\n", cudaGetErrorName(cudaStreamEndCapture(s, &graph)));
    return 0;
  }
  if (name == "graph_race") {  // two branches of a graph that need an order
    cudaEvent_t fork{}, join{};
    cudaEventCreateWithFlags(&fork, cudaEventDisableTiming);
    cudaEventCreateWithFlags(&join, cudaEventDisableTiming);
    cudaStreamSynchronize(s);
    cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal);
    cudaMemsetAsync(y, 0, N * sizeof(float), s);
    cudaEventRecord(fork, s);
    cudaStreamWaitEvent(s2, fork);
    start(good ? s : s2, g, b, across_blocks<true>, cx, y);
    start(s, g, b, across_blocks<true>, cx + 7, y);
    cudaEventRecord(join, s2);
    cudaStreamWaitEvent(s, join);
    cudaGraph_t graph{};
    cudaGraphExec_t exec{};
    cudaStreamEndCapture(s, &graph);
    cudaGraphInstantiate(&exec, graph, 0);
    cudaGraphLaunch(exec, s);
  }
  if (name == "memory") {
    emulation_set("limit", 1 << 20);
    void* p{};
    std::printf("%s\n", cudaGetErrorName(cudaMalloc(&p, good ? 1 << 18 : 1 << 21)));
    return 0;
  }
  if (failed != cudaSuccess) e = failed;
  const cudaError_t done = cudaStreamSynchronize(s);
  if (e != cudaSuccess || done != cudaSuccess) {
    std::printf("%s: %s\n", cudaGetErrorName(done ? done : e), cudaGetErrorString(done ? done : e));
    return 0;
  }
  cudaMemcpy(back.data(), y, N * sizeof(float), cudaMemcpyDeviceToHost);
  std::printf("%.1f\n", checksum(back));
}
