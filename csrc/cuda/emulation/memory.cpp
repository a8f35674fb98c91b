// Device memory and pinned memory of the emulation: filled with NaN, counted against a limit, out of the
// host's reach where it is guarded.
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "cuda/emulation/machine.h"

namespace emulation {

std::size_t used = 0;

namespace {

struct Allocation {
  std::size_t bytes, mapped;
  bool pinned;
  int device = 0;
};
std::map<std::byte*, Allocation> memory;
int open_count = 0;

const Allocation* of(const void* p) {
  auto at = memory.upper_bound(const_cast<std::byte*>(static_cast<const std::byte*>(p)));
  if (at == memory.begin()) return nullptr;
  --at;
  return static_cast<const std::byte*>(p) < at->first + at->second.bytes ? &at->second : nullptr;
}

void protect(int how) {
  for (const auto& [p, a] : memory)
    if (a.mapped && !a.pinned) mprotect(p, a.mapped, how);
}
}  // namespace

Open::Open() {
  if (settings.guard && open_count++ == 0) protect(PROT_READ | PROT_WRITE);
}
Open::~Open() {
  if (settings.guard && --open_count == 0) protect(PROT_NONE);
}

bool is_known(const void* p) { return of(p) != nullptr; }
bool is_device(const void* p) {
  const auto* a = of(p);
  return a != nullptr && !a->pinned;
}
// The direction must be that of the pointers.
bool fits(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  for (const void* p : {static_cast<const void*>(to), from}) {
    const auto* a = of(p);
    const auto at = memory.upper_bound(const_cast<std::byte*>(static_cast<const std::byte*>(p)));
    if (a && static_cast<const std::byte*>(p) + bytes > std::prev(at)->first + a->bytes)
      return false;
  }
  if (kind == cudaMemcpyDefault) return true;
  return is_device(to) == (kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice) &&
         is_device(from) == (kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice);
}
}  // namespace emulation

using namespace emulation;

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = static_cast<std::size_t>(settings.limit);
  *free = *total - std::min(used, *total);
  return present();
}

static cudaError_t allocate(void** p, std::size_t bytes, bool pinned) {
  const std::lock_guard guard(device_lock);
  *p = nullptr;
  ++counts.allocations;
  if (const auto e = present(); e != cudaSuccess) return e;
  if (capturing()) return note(cudaErrorStreamCaptureUnsupported);
  if (!pinned && used + bytes > static_cast<std::size_t>(settings.limit))
    return note(cudaErrorMemoryAllocation);
  std::byte* data;
  std::size_t mapped = 0;
  if (settings.guard && !pinned) {
    mapped = (bytes + 4095) / 4096 * 4096;
    data =
        static_cast<std::byte*>(mmap(nullptr, std::max<std::size_t>(mapped, 4096),
                                     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  } else {
    data = static_cast<std::byte*>(std::aligned_alloc(256, (bytes + 255) / 256 * 256));
#if ASAN
    __asan_poison_memory_region(data + bytes, (bytes + 255) / 256 * 256 - bytes);
#endif
  }
  std::memset(data, 0xff, bytes);  // NaN: what nobody wrote shows in the results
  if (mapped) mprotect(data, mapped, PROT_NONE);
  memory[data] = {bytes, mapped, pinned};
  if (!pinned) used += bytes;
  *p = data;
  return cudaSuccess;
}
static cudaError_t release(void* p) {
  const std::lock_guard guard(device_lock);
  if (p == nullptr) return cudaSuccess;
  const auto at = memory.find(static_cast<std::byte*>(p));
  if (at == memory.end()) return note(cudaErrorInvalidValue);
  drain_all();  // cudaFree waits
  if (!at->second.pinned) used -= at->second.bytes;
  if (at->second.mapped) {
    munmap(p, at->second.mapped);
  } else {
    std::free(p);
  }
  memory.erase(at);
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* about, const void* p) {
  const std::lock_guard guard(device_lock);
  *about = {cudaMemoryTypeUnregistered, -2, nullptr, const_cast<void*>(p)};
  if (const auto e = present(); e != cudaSuccess) return e;
  if (const auto* a = of(p)) {
    about->type = a->pinned ? cudaMemoryTypeHost : cudaMemoryTypeDevice;
    about->device = a->device;
  }
  return cudaSuccess;
}
// For tests: as if the memory were on another device.
extern "C" __attribute__((visibility("default"))) void emulation_move(void* p, int device) {
  const std::lock_guard guard(device_lock);
  memory.at(static_cast<std::byte*>(p)).device = device;
}
cudaError_t cudaMalloc(void** p, std::size_t bytes) { return allocate(p, bytes, false); }
cudaError_t cudaFree(void* p) { return release(p); }
cudaError_t cudaHostAlloc(void** p, std::size_t bytes, unsigned) {
  return allocate(p, bytes, true);
}
cudaError_t cudaFreeHost(void* p) { return release(p); }
