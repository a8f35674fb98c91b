// What the three files of the emulation share: its settings, what it counts, faults, and running a grid.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__) || defined(EMULATION_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define ASAN 1
#else
#define ASAN 0
#endif
// These files are compiled without -fsanitize=thread: the scheduler's own accesses are no races.
#if defined(EMULATION_TSAN)
#include <sanitizer/tsan_interface.h>
#define TSAN 1
#else
#define TSAN 0
#endif

namespace emulation {

long setting(const char* name, long standard);  // of the environment

// By emulation_set(), or EMULATION_<NAME> in the environment.
struct Settings {
  long order = setting("order", 0);  // 0 forward, 1 backward, n > 1 shuffled with seed n
  long lazy = setting("lazy", 1);    // 1: streams run only when somebody waits for them
  long guard = setting("guard", 0);  // 1: device memory is unreadable for the host (not ASan)
  long flush = setting("flush", 1);  // 1: denormals are flushed, as by nvcc -ftz=true
  long limit = setting("limit", 8L << 30);  // bytes of device memory
  long device =
      setting("device", 90);     // 0 no driver, 1 an old one, 2 no GPU, else compute capability
  long sms = setting("sms", 4);  // multiprocessors
  long shared = setting("shared", 227 << 10);  // bytes that a block may ask for
  // 1: whoever waits hears that a kernel left its memory; another number: that error.
  long broken = setting("broken", 0);
};
extern Settings settings;

// For tests of how many launches a step takes.
struct Counts {
  long launches = 0, threads = 0, switches = 0, graph_launches = 0, allocations = 0, waits = 0;
};
extern Counts counts;

struct Fault { std::string text; };
extern std::string message;  // of the last one

extern std::recursive_mutex device_lock;
extern std::size_t used;  // bytes of device memory

// Runs the threads of all blocks; throws Fault.
void run_grid(dim3 grid, dim3 dim, std::size_t dynamic, const std::function<void()>& body);
std::uint64_t random_word();
void seed_random(std::uint64_t seed);
// The numbers below n as the setting orders them.
void arrange(std::vector<int>& order, int n);

// Is there a device?
cudaError_t present();
// Notes an error as the runtime does.
cudaError_t note(cudaError_t error);
bool capturing();
void drain_all();

bool is_device(const void* p);
bool is_known(const void* p);  // device memory or pinned
// Do both ends lie inside of their allocations, on the sides that the kind says?
bool fits(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind);

// While it lives, device memory may be touched.
struct Open {
  Open();
  ~Open();
};

}  // namespace emulation
