// Calls of the CUDA runtime, and what their errors mean to users.
#include "cuda/runtime.h"

#include <cstdio>

#include "base/error.h"

namespace steep::cuda {

namespace {

std::string size_of(double bytes) {
  char out[32];
  constexpr double kGiB = 1 << 30, kMiB = 1 << 20;
  if (bytes >= kGiB) {
    std::snprintf(out, sizeof(out), "%.1f GiB", bytes / kGiB);
  } else {
    std::snprintf(out, sizeof(out), "%.1f MiB", bytes / kMiB);
  }
  return out;
}

}  // namespace

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // the next call begins without it
  throw std::runtime_error(text("device=\"cuda\": ", what, ": the GPU reported ",
                                cudaGetErrorName(error), " (", cudaGetErrorString(error),
                                "); start a new process. The last checkpoint is whole"));
}

Memory::Memory(std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  void* p = nullptr;
  const cudaError_t error = cudaMalloc(&p, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "memory");
    throw NoMemory(text("device=\"cuda\": out of memory: ", size_of(static_cast<double>(bytes)),
                        " wanted, ", size_of(static_cast<double>(free)), " of ",
                        size_of(static_cast<double>(total)), " free; choose a smaller batch_size"));
  }
  check(error, "memory");
  data_.reset(static_cast<std::byte*>(p));
  check(cudaMemset(p, 0, bytes), "memory");
  check(cudaDeviceSynchronize(), "memory");  // other streams do not wait for that one
}
void Memory::Free::operator()(std::byte* p) const { cudaFree(p); }

Pinned::Pinned(std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  void* p = nullptr;
  const cudaError_t error = cudaHostAlloc(&p, bytes, cudaHostAllocDefault);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw NoMemory(text("device=\"cuda\": out of memory: ", size_of(static_cast<double>(bytes)),
                        " of pinned memory wanted; choose a smaller batch_size"));
  }
  check(error, "pinned memory");
  data_.reset(static_cast<std::byte*>(p));
}
void Pinned::Free::operator()(std::byte* p) const { cudaFreeHost(p); }

Stream::Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "a stream"); }
Stream::~Stream() { cudaStreamDestroy(stream_); }
void Stream::wait() const { check(cudaStreamSynchronize(stream_), "a call"); }

Event::Event() { check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "an event"); }
Event::~Event() { cudaEventDestroy(event_); }
void Event::record(const Stream& in) const { check(cudaEventRecord(event_, in.get()), "an event"); }
void Event::hold_back(const Stream& other) const {
  check(cudaStreamWaitEvent(other.get(), event_, 0), "an event");
}
void Event::wait() const { check(cudaEventSynchronize(event_), "a call"); }

void Graph::begin(const Stream& stream) {
  check(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal), "a graph");
}
void Graph::abandon(const Stream& stream) {
  cudaGraph_t graph = nullptr;
  cudaStreamEndCapture(stream.get(), &graph);
  if (graph != nullptr) cudaGraphDestroy(graph);
  cudaGetLastError();
}
void Graph::end(const Stream& stream) {
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(stream.get(), &graph), "a graph");
  const cudaError_t error = cudaGraphInstantiate(&exec_, graph, 0);
  cudaGraphDestroy(graph);
  check(error, "a graph");
}
Graph::~Graph() {
  if (exec_ != nullptr) cudaGraphExecDestroy(exec_);
}
void Graph::launch(const Stream& stream) const {
  check(cudaGraphLaunch(exec_, stream.get()), "a graph");
}

int owner_of(const void* address) {
  cudaPointerAttributes about{};
  if (cudaPointerGetAttributes(&about, address) != cudaSuccess) {
    cudaGetLastError();
    return -1;
  }
  const bool its = about.type == cudaMemoryTypeDevice || about.type == cudaMemoryTypeManaged;
  return its ? about.device : -1;
}

void read(const Stream& stream, void* host, const void* device, std::size_t bytes) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream.get()), "a copy");
  stream.wait();
}
void write(const Stream& stream, void* device, const void* host, std::size_t bytes) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream.get()), "a copy");
  stream.wait();
}

}  // namespace steep::cuda
