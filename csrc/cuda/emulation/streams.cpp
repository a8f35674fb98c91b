// Streams as queues that run when somebody waits for them, events, captures, graphs whose nodes run in any
// order that their edges allow, and what the emulated device says of itself.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <map>

#include "cuda/emulation/machine.h"

struct CUgraph_st {
  struct Node {
    std::function<void()> run;
    std::vector<int> after;
  };
  std::vector<Node> nodes;
};
struct CUgraphExec_st { CUgraph_st graph; };
struct CUstream_st {
  std::deque<std::function<void()>> queue;
  unsigned long issued = 0, done = 0;
  CUgraph_st* capture = nullptr;
  bool origin = false;
  std::vector<int> frontier;
};
struct CUevent_st {
  CUstream_st* stream = nullptr;
  unsigned long ticket = 0;
  CUgraph_st* capture = nullptr;
  std::vector<int> nodes;
  std::chrono::steady_clock::time_point time;
};

namespace emulation {
namespace {

CUstream_st null_stream, thread_stream;
std::vector<CUstream_st*> streams{&thread_stream};
cudaError_t last = cudaSuccess, sticky = cudaSuccess;
std::map<const void*, int> allowed;

// By number: 1 the default stream, 2 that of a thread, here of all threads.
CUstream_st& stream_of(cudaStream_t s) {
  const auto number = reinterpret_cast<std::uintptr_t>(s);
  return number < 2 ? null_stream : number == 2 ? thread_stream : *s;
}

void drain(CUstream_st& s, unsigned long until) {
  while (s.done < until && !s.queue.empty()) {
    const auto op = std::move(s.queue.front());
    s.queue.pop_front();
    ++s.done;
    if (sticky != cudaSuccess) continue;
    try {
      const Open open;
      op();
    } catch (const Fault& fault) {
      message = fault.text;
      std::fprintf(stderr, "emulation: %s\n", message.c_str());
      sticky = cudaErrorIllegalAddress;
    }
  }
}

cudaError_t put(cudaStream_t stream, std::function<void()> op) {
  CUstream_st& s = stream_of(stream);
  if (s.capture) {
    s.capture->nodes.push_back({std::move(op), s.frontier});
    s.frontier = {static_cast<int>(s.capture->nodes.size()) - 1};
    return cudaSuccess;
  }
  if (sticky != cudaSuccess) return note(sticky);
  s.queue.push_back(std::move(op));
  ++s.issued;
  if (!settings.lazy || &s == &null_stream) drain(s, s.issued);
  return note(sticky);
}

// Nodes in an order that their edges allow; which of those, the setting says.
void run_graph(const CUgraph_st& g) {
  const int n = static_cast<int>(g.nodes.size());
  std::vector<int> missing(n, 0), ready;
  std::vector<std::vector<int>> next(n);
  for (int i = 0; i < n; ++i) {
    missing[i] = static_cast<int>(g.nodes[i].after.size());
    for (const int a : g.nodes[i].after) next[a].push_back(i);
    if (missing[i] == 0) ready.push_back(i);
  }
  while (!ready.empty()) {
    const std::size_t pick = settings.order == 0   ? 0
                             : settings.order == 1 ? ready.size() - 1
                                                   : random_word() % ready.size();
    const int i = ready[pick];
    ready.erase(ready.begin() + static_cast<long>(pick));
    g.nodes[i].run();
    for (const int j : next[i])
      if (--missing[j] == 0) ready.push_back(j);
  }
}

bool all_joined(const CUgraph_st& g, std::vector<int> from) {
  std::vector<bool> seen(g.nodes.size(), false);
  while (!from.empty()) {
    const int i = from.back();
    from.pop_back();
    if (seen[i]) continue;
    seen[i] = true;
    from.insert(from.end(), g.nodes[i].after.begin(), g.nodes[i].after.end());
  }
  return std::all_of(seen.begin(), seen.end(), [](bool b) { return b; });
}

}  // namespace

cudaError_t note(cudaError_t e) {
  if (e != cudaSuccess) last = e;
  return e;
}
bool capturing() {
  return std::any_of(streams.begin(), streams.end(), [](auto* s) { return s->capture != nullptr; });
}
void drain_all() {
  for (auto* s : streams) drain(*s, s->issued);
}

cudaError_t present() {
  if (settings.device == 0) return note(cudaErrorInsufficientDriver);
  if (settings.device == 2) return note(cudaErrorNoDevice);
  if (settings.device == 1) return note(cudaErrorInsufficientDriver);
  return cudaSuccess;
}

cudaError_t launch(const void* kernel, const char* name, const cudaLaunchConfig_t& c,
                   std::function<void()> body) {
  const std::lock_guard guard(device_lock);
  const std::size_t shared = allowed.contains(kernel) ? allowed[kernel] : 48 << 10;
  const unsigned long threads = 1ul * c.blockDim.x * c.blockDim.y * c.blockDim.z;
  const unsigned long blocks = 1ul * c.gridDim.x * c.gridDim.y * c.gridDim.z;
  if (threads == 0 || threads > 1024 || blocks == 0 || c.gridDim.y > 65535 || c.gridDim.z > 65535 ||
      c.blockDim.z > 64 || c.dynamicSmemBytes > shared) {
    message = std::string("bad launch of ") + name;
    return note(cudaErrorInvalidConfiguration);
  }
  return put(c.stream, [grid = c.gridDim, dim = c.blockDim, bytes = c.dynamicSmemBytes,
                        body = std::move(body)] { run_grid(grid, dim, bytes, body); });
}
cudaError_t allow_shared(const void* kernel, int bytes) {
  if (bytes > settings.shared) return note(cudaErrorInvalidValue);
  allowed[kernel] = bytes;
  return cudaSuccess;
}

}  // namespace emulation

using namespace emulation;

const char* cudaGetErrorName(cudaError_t e) {
  switch (e) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorNoKernelImageForDevice: return "cudaErrorNoKernelImageForDevice";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    default: return "cudaErrorUnknown";
  }
}
const char* cudaGetErrorString(cudaError_t e) {
  switch (e) {
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorIllegalAddress:
      return message.empty() ? "an illegal memory access was encountered" : message.c_str();
    default: return cudaGetErrorName(e);
  }
}
cudaError_t cudaGetLastError() {
  const cudaError_t e = last;
  last = sticky;
  return e;
}
cudaError_t cudaPeekAtLastError() { return last; }

cudaError_t cudaGetDeviceCount(int* n) {
  *n = 0;
  if (const auto e = present(); e != cudaSuccess) return e;
  *n = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* d) {
  *d = 0;
  return present();
}
cudaError_t cudaSetDevice(int d) { return d == 0 ? present() : note(cudaErrorInvalidValue); }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  if (const auto e = present(); e != cudaSuccess) return e;
  *p = {};
  std::snprintf(p->name, sizeof(p->name), "emulated on the CPU");
  p->totalGlobalMem = static_cast<std::size_t>(settings.limit);
  p->sharedMemPerBlockOptin = static_cast<std::size_t>(settings.shared);
  p->major = static_cast<int>(settings.device / 10);
  p->minor = static_cast<int>(settings.device % 10);
  p->multiProcessorCount = static_cast<int>(settings.sms);
  p->l2CacheSize = 50 << 20;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* v, cudaDeviceAttr a, int) {
  cudaDeviceProp p;
  if (const auto e = cudaGetDeviceProperties(&p, 0); e != cudaSuccess) return e;
  *v = a == cudaDevAttrMultiProcessorCount      ? p.multiProcessorCount
       : a == cudaDevAttrComputeCapabilityMajor ? p.major
       : a == cudaDevAttrComputeCapabilityMinor ? p.minor
                                                : static_cast<int>(p.sharedMemPerBlockOptin);
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* v) {
  *v = settings.device == 0 ? 0 : settings.device == 1 ? 12000 : 13000;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* v) {
  *v = 13000;
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const std::lock_guard guard(device_lock);
  if (capturing()) return note(cudaErrorStreamCaptureUnsupported);
  if (!fits(to, from, bytes, kind)) return note(cudaErrorInvalidValue);
  const Open open;  // on the null stream: it does not wait for the others
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const std::lock_guard guard(device_lock);
  if (!fits(to, from, bytes, kind)) return note(cudaErrorInvalidValue);
  // Pageable memory is read before the call returns, pinned memory some time later.
  if (!is_device(from) && !is_known(from) && !stream_of(stream).capture) {
    std::vector<std::byte> held(static_cast<const std::byte*>(from),
                                static_cast<const std::byte*>(from) + bytes);
    return put(stream, [to, held = std::move(held)] { std::memcpy(to, held.data(), held.size()); });
  }
  return put(stream, [to, from, bytes] { std::memcpy(to, from, bytes); });
}
cudaError_t cudaMemsetAsync(void* p, int value, std::size_t bytes, cudaStream_t stream) {
  const std::lock_guard guard(device_lock);
  if (!is_device(p)) return note(cudaErrorInvalidValue);
  return put(stream, [p, value, bytes] { std::memset(p, value, bytes); });
}
cudaError_t cudaMemset(void* p, int value, std::size_t bytes) {
  return cudaMemsetAsync(p, value, bytes, nullptr);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned) {
  const std::lock_guard guard(device_lock);
  if (const auto e = present(); e != cudaSuccess) return e;
  streams.push_back(*s = new CUstream_st);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t s) {
  const std::lock_guard guard(device_lock);
  drain(*s, s->issued);
  std::erase(streams, s);
  delete s;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard guard(device_lock);
  ++counts.waits;
  CUstream_st& s = stream_of(stream);
  if (s.capture) return note(cudaErrorStreamCaptureUnsupported);
  drain(s, s.issued);
  if (settings.broken != 0) {
    sticky = settings.broken == 1 ? cudaErrorIllegalAddress : cudaError_t(settings.broken);
  }
  return note(sticky);
}
cudaError_t cudaDeviceSynchronize() {
  const std::lock_guard guard(device_lock);
  if (capturing()) return note(cudaErrorStreamCaptureUnsupported);
  std::vector<int> order;
  arrange(order, static_cast<int>(streams.size()));
  for (const int i : order) drain(*streams[i], streams[i]->issued);
  return note(sticky);
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) {
  if (const auto error = present(); error != cudaSuccess) return error;
  *e = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t e) {
  delete e;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t stream) {
  const std::lock_guard guard(device_lock);
  CUstream_st& s = stream_of(stream);
  if (s.capture) {
    e->capture = s.capture;
    e->nodes = s.frontier;
    return cudaSuccess;
  }
  e->capture = nullptr;
  e->stream = &s;
  const auto put_error = put(stream, [e] { e->time = std::chrono::steady_clock::now(); });
  e->ticket = s.issued;
  return put_error;
}
cudaError_t cudaEventSynchronize(cudaEvent_t e) {
  const std::lock_guard guard(device_lock);
  if (e->stream) drain(*e->stream, e->ticket);
  return note(sticky);
}
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
  *ms = std::chrono::duration<float, std::milli>(to->time - from->time).count();
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t e, unsigned) {
  const std::lock_guard guard(device_lock);
  CUstream_st& s = stream_of(stream);
  if (e->capture) {  // the stream joins the capture
    if (s.capture && s.capture != e->capture) return note(cudaErrorStreamCaptureInvalidated);
    s.capture = e->capture;
    for (const int node : e->nodes)
      if (std::find(s.frontier.begin(), s.frontier.end(), node) == s.frontier.end())
        s.frontier.push_back(node);
    return cudaSuccess;
  }
  if (s.capture) return note(cudaErrorStreamCaptureUnsupported);
  if (!e->stream) return cudaSuccess;
  return put(stream, [other = e->stream, ticket = e->ticket] { drain(*other, ticket); });
}
cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode) {
  const std::lock_guard guard(device_lock);
  if (s == nullptr || s->capture) return note(cudaErrorStreamCaptureUnsupported);
  s->capture = new CUgraph_st;
  s->origin = true;
  s->frontier.clear();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* g) {
  const std::lock_guard guard(device_lock);
  *g = nullptr;
  if (!s->capture || !s->origin) return note(cudaErrorStreamCaptureInvalidated);
  CUgraph_st* made = s->capture;
  const bool joined = all_joined(*made, s->frontier);
  for (auto* other : streams)
    if (other->capture == made) {
      other->capture = nullptr;
      other->frontier.clear();
    }
  s->origin = false;
  if (!joined) {
    delete made;
    return note(cudaErrorStreamCaptureInvalidated);
  }
  *g = made;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t g, unsigned long long) {
  *exec = new CUgraphExec_st{*g};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t s) {
  const std::lock_guard guard(device_lock);
  return put(s, [exec] {
    ++counts.graph_launches;
    run_graph(exec->graph);
  });
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaGraphDestroy(cudaGraph_t g) {
  delete g;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  const std::lock_guard guard(device_lock);
  drain_all();
  delete exec;
  return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t g, cudaGraphNode_t*, std::size_t* count) {
  *count = g->nodes.size();
  return cudaSuccess;
}

// For tests.
extern "C" {
__attribute__((visibility("default"))) void emulation_set(const char* name, long value) {
  const std::map<std::string, long*> known = {
      {"order", &settings.order}, {"lazy", &settings.lazy},     {"guard", &settings.guard},
      {"flush", &settings.flush}, {"limit", &settings.limit},   {"device", &settings.device},
      {"sms", &settings.sms},     {"broken", &settings.broken}, {"shared", &settings.shared}};
  *known.at(name) = value;
  if (std::string(name) == "order") seed_random(static_cast<std::uint64_t>(value));
}
// For libraries that tests make up: f(data) when a stream comes to it, then free(data).
__attribute__((visibility("default"))) void emulation_enqueue(cudaStream_t stream, void (*f)(void*),
                                                              void* data, void (*free)(void*)) {
  const std::lock_guard guard(device_lock);
  put(stream, [f, held = std::shared_ptr<void>(data, free)] { f(held.get()); });
}
// For objects that tests make up: memory of their own, a stream, and what is written when it comes to that.
__attribute__((visibility("default"))) void* emulation_allocate(std::size_t bytes) {
  void* p = nullptr;
  return cudaMalloc(&p, bytes) == cudaSuccess ? p : nullptr;
}
__attribute__((visibility("default"))) int emulation_free(void* p) { return cudaFree(p); }
__attribute__((visibility("default"))) cudaStream_t emulation_stream() {
  cudaStream_t stream = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  return stream;
}
__attribute__((visibility("default"))) int emulation_write(cudaStream_t stream, void* to,
                                                           const void* from, std::size_t bytes) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream);
}
__attribute__((visibility("default"))) int emulation_read(void* to, const void* from,
                                                          std::size_t bytes) {
  return cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost);
}
// What comes on a stream from here on is after what another one was given.
__attribute__((visibility("default"))) void emulation_follow(cudaStream_t stream,
                                                             cudaStream_t other) {
  const std::lock_guard guard(device_lock);
  CUstream_st& before = stream_of(other);
  put(stream, [&before, ticket = before.issued] { drain(before, ticket); });
}
// Are these bytes inside of one block of device memory?
__attribute__((visibility("default"))) int emulation_holds(const void* p, std::size_t bytes) {
  const std::lock_guard guard(device_lock);
  return is_device(p) && fits(nullptr, p, bytes, cudaMemcpyDeviceToHost);
}
__attribute__((visibility("default"))) long emulation_count(const char* name) {
  const std::map<std::string, long> known = {
      {"launches", counts.launches},       {"threads", counts.threads},
      {"switches", counts.switches},       {"graph_launches", counts.graph_launches},
      {"allocations", counts.allocations}, {"waits", counts.waits},
      {"bytes", static_cast<long>(used)}};
  return known.at(name);
}
__attribute__((visibility("default"))) void emulation_forgive() {  // a new context
  sticky = last = cudaSuccess;
  message.clear();
}
__attribute__((visibility("default"))) const char* emulation_message() { return message.c_str(); }
}
