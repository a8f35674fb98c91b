// Calls of the CUDA runtime, and what their errors mean to users.
#include "cuda/runtime.h"

#include <pthread.h>

#include <atomic>
#include <cstdio>

#include "base/error.h"

namespace steep::cuda {

namespace {

std::string size_of(std::size_t bytes) {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB"};
  double size = static_cast<double>(bytes);
  int unit = 0;
  for (; unit < 3 && size >= 1024; ++unit) size /= 1024;
  char out[32];
  std::snprintf(out, sizeof(out), "%.*f %s", unit > 0, size, kUnits[unit]);
  return out;
}

// `bytes` 0: the runtime wanted some for itself, and does not say how many.
[[noreturn]] void refuse_memory(const std::string& what, std::size_t bytes = 0) {
  cudaGetLastError();  // the next call begins without it
  std::size_t free = 0, total = 0;
  const bool told = cudaMemGetInfo(&free, &total) == cudaSuccess;  // no context fits: it is not
  if (!told) cudaGetLastError();
  throw NoMemory(text(
      "device=\"cuda\": out of memory: ", bytes != 0 ? text(size_of(bytes), what, " wanted") : what,
      told ? text(", ", size_of(free), " of ", size_of(total), " free") : "",
      "; choose a smaller batch_size or network"));
}

std::atomic<bool> used{false}, orphaned{false};

}  // namespace

void begin_use() {
  static const int registered =
      pthread_atfork(nullptr, nullptr, [] { orphaned = orphaned || used; });
  (void)registered;
  used = true;
}
bool is_orphan() { return orphaned; }

void check(cudaError_t error, const char* what) {
  if (orphaned) throw std::runtime_error(text("device=\"cuda\": ", kOrphan));
  if (error == cudaSuccess) return;
  if (error == cudaErrorMemoryAllocation) refuse_memory(what);
  cudaGetLastError();
  if (error == cudaErrorNoKernelImageForDevice) {
    throw std::runtime_error(
        "device=\"cuda\": this build has no code for the GPU here; pip install . -Csteep.cuda=on "
        "builds it for compute capability 8.0 and newer");
  }
  throw std::runtime_error(text("device=\"cuda\": ", what, ": the GPU reported ",
                                cudaGetErrorName(error), " (", cudaGetErrorString(error),
                                "); start a new process. The last checkpoint is whole"));
}

Memory::Memory(std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  void* p = nullptr;
  const cudaError_t error = cudaMalloc(&p, bytes);
  if (error == cudaErrorMemoryAllocation) refuse_memory("", bytes);
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
  if (error == cudaErrorMemoryAllocation) refuse_memory(" of pinned memory", bytes);
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
