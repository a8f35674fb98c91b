// Runs CUDA threads as fibers on one processor thread: barriers, shuffles, votes, shared memory, and what
// to say of a wrong one. Deterministic; orders of threads, warps and blocks are a setting, so that a test
// can ask whether a result depends on them. No kernel lives here.
#include <immintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <cctype>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "cuda/emulation/machine.h"

// Saves the registers a call must keep, leaves *save on the stack, goes on at `to`.
extern "C" void emulation_switch(void** save, void* to);
#if defined(__x86_64__)
asm(R"(
.text
.globl emulation_switch
.hidden emulation_switch
.type emulation_switch,@function
emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulation_switch,.-emulation_switch
)");
#else
#error "the emulation knows x86-64 only"
#endif

uint3 threadIdx{}, blockIdx{};
dim3 blockDim, gridDim;

namespace emulation {

Here* here = nullptr;

long setting(const char* name, long standard) {
  std::string key = std::string("EMULATION_") + name;
  for (char& c : key) c = static_cast<char>(std::toupper(c));
  const char* value = std::getenv(key.c_str());
  return value ? std::atol(value) : standard;
}

Settings settings;
Counts counts;
std::string message;
std::recursive_mutex device_lock;

namespace {

constexpr std::size_t kStack = ASAN || TSAN ? 256 << 10 : 64 << 10;
constexpr int kMostThreads = 1024, kWarp = 32;

// Blocks in turn get other identities, so that TSan sees races between threads of two blocks.
constexpr int kSets = TSAN ? 3 : 1;

enum class State { kReady, kAtBlock, kAtWarp, kDone };

struct Thread {
  Here here;
  uint3 index;
  void* sp = nullptr;
  std::byte* stacks[kSets] = {};  // a stack of its own for each of TSan's identities
  State state = State::kDone;
  Site site{};
  unsigned mask = 0;
  int objects = 0;  // of shared memory asked for
  unsigned long exchanges = 0;
  Slot mine;
  const Slot* received = nullptr;
  int predicate = 0;
#if TSAN
  void* fibers[kSets] = {};
#endif
#if ASAN
  void* fake = nullptr;
#endif
};

struct Object {
  std::byte* data;
  std::size_t bytes;
};

struct Warp {
  Slot slots[kWarp][2][kWarp];  // by lowest lane of the mask and its turn
};

struct Block {
  const std::function<void()>* body = nullptr;
  int threads = 0;
  std::vector<Object> objects;
  std::size_t dynamic_bytes = 0, static_bytes = 0;
  std::byte* dynamic = nullptr;
  unsigned long meetings = 0;
  int sum = 0;  // of the predicates of the last meeting
  std::string fault;
  int set = 0;  // of TSan's fibers
  char sync[2], start, end;
};

std::vector<Thread> threads;
std::vector<Warp> warps;
Block block;
Thread* running = nullptr;
void* scheduler_sp = nullptr;
#if TSAN
void* scheduler_fiber = nullptr;
#endif
#if ASAN
const void* scheduler_bottom = nullptr;
std::size_t scheduler_size = 0;
void* scheduler_fake = nullptr;
#endif

std::string text(const char* format, va_list arguments) {
  char out[512];
  std::vsnprintf(out, sizeof(out), format, arguments);
  return out;
}
std::string where(const Thread& t) {
  char out[256];
  const char* name = t.site.file ? std::strrchr(t.site.file, '/') : nullptr;
  std::snprintf(out, sizeof(out), "block (%u,%u,%u) thread (%u,%u,%u) at %s:%d", blockIdx.x,
                blockIdx.y, blockIdx.z, t.index.x, t.index.y, t.index.z,
                name          ? name + 1
                : t.site.file ? t.site.file
                              : "the start",
                t.site.line);
  return out;
}

// memcpy that TSan does not see.
[[gnu::optimize("no-tree-loop-distribute-patterns")]] void copy(unsigned char* to, const void* from,
                                                                std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) to[i] = static_cast<const unsigned char*>(from)[i];
}

// ---- Fibers --------------------------------------------------------------------------------

void leave(State state) {
  Thread& t = *running;
  t.state = state;
  ++counts.switches;
#if ASAN
  __sanitizer_start_switch_fiber(state == State::kDone ? nullptr : &t.fake, scheduler_bottom,
                                 scheduler_size);
#endif
#if TSAN
  __tsan_switch_to_fiber(scheduler_fiber, __tsan_switch_to_fiber_no_sync);
#endif
  emulation_switch(&t.sp, scheduler_sp);
#if ASAN
  __sanitizer_finish_switch_fiber(t.fake, nullptr, nullptr);
#endif
}

[[noreturn]] void begin() {
#if ASAN
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_bottom, &scheduler_size);
#endif
#if TSAN
  __tsan_acquire(&block.start);
#endif
  try {
    (*block.body)();
  } catch (const Fault& fault) {
    if (block.fault.empty()) block.fault = where(*running) + ": " + fault.text;
  }
#if TSAN
  __tsan_release(&block.end);
#endif
  leave(State::kDone);
  std::abort();
}

void resume(Thread& t) {
  running = &t;
  here = &t.here;
  threadIdx = t.index;
#if ASAN
  __sanitizer_start_switch_fiber(&scheduler_fake, t.stacks[0], kStack);
#endif
#if TSAN
  __tsan_switch_to_fiber(t.fibers[block.set], __tsan_switch_to_fiber_no_sync);
#endif
  emulation_switch(&scheduler_sp, t.sp);
#if ASAN
  __sanitizer_finish_switch_fiber(scheduler_fake, nullptr, nullptr);
#endif
  running = nullptr;
}

void need_threads(int n) {
  while (static_cast<int>(threads.size()) < n) {
    Thread t;
    for (std::byte*& stack : t.stacks) {
      void* p = mmap(nullptr, kStack, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (p == MAP_FAILED) std::abort();
      stack = static_cast<std::byte*>(p);
    }
#if TSAN
    for (void*& fiber : t.fibers) fiber = __tsan_create_fiber(0);
#endif
    threads.push_back(t);
  }
  warps.resize((threads.size() + kWarp - 1) / kWarp);
}

// A stack whose first return goes to begin(). Tops differ by a few lines, or all threads would
// compete for the same cache sets.
void prepare(Thread& t, int index) {
#if ASAN
  __asan_unpoison_memory_region(t.stacks[0], kStack);  // of frames that were left for good
#endif
  auto top =
      reinterpret_cast<std::uintptr_t>(t.stacks[block.set]) + kStack - 256 - (index % 32) * 192;
  top &= ~std::uintptr_t{63};
  auto* sp = reinterpret_cast<void**>(top);
  *--sp = nullptr;  // so that rsp + 8 is a multiple of 16 when begin() starts
  *--sp = reinterpret_cast<void*>(&begin);
  for (int i = 0; i < 6; ++i) *--sp = nullptr;
  t.sp = sp;
  t.state = State::kReady;
  t.site = {};
  t.objects = 0;
  t.exchanges = 0;
}

std::uint64_t random_state = 1;

}  // namespace

std::uint64_t random_word() {  // SplitMix64
  std::uint64_t z = (random_state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}
void arrange(std::vector<int>& order, int n) {
  order.resize(n);
  std::iota(order.begin(), order.end(), 0);
  if (settings.order == 1) std::reverse(order.begin(), order.end());
  if (settings.order > 1)
    for (int i = n - 1; i > 0; --i) std::swap(order[i], order[random_word() % (i + 1)]);
}

void seed_random(std::uint64_t seed) { random_state = seed; }

namespace {

const char* state_name(State s) {
  return s == State::kAtBlock  ? "waits at __syncthreads"
         : s == State::kAtWarp ? "waits at a shuffle"
         : s == State::kDone   ? "has returned"
                               : "runs";
}

// Lets a group of lanes that wait for each other go on; false where none waits.
bool release_lanes(int warp, int first, int count) {
  for (int lane = 0; lane < count; ++lane) {
    Thread& t = threads[first + lane];
    if (t.state != State::kAtWarp) continue;
    const unsigned all = count == 32 ? 0xffffffffu : (1u << count) - 1;
    const unsigned mask = t.mask & all;
    if (!(mask >> lane & 1)) throw Fault{where(t) + ": is not in its own mask"};
    for (int other = 0; other < count; ++other) {
      if (!(mask >> other & 1)) continue;
      const Thread& o = threads[first + other];
      if (o.state != State::kAtWarp || (o.mask & all) != mask || o.site != t.site) {
        char head[96];
        std::snprintf(head, sizeof(head), ": waits for lanes %08x, but lane %d ", mask, other);
        throw Fault{
            where(t) + head +
            (o.state == State::kAtWarp ? "waits elsewhere or for others" : state_name(o.state))};
      }
    }
    const int lowest = __builtin_ctz(mask);
    Slot* slots = warps[warp].slots[lowest][threads[first + lowest].exchanges & 1];
    for (int other = 0; other < count; ++other) {
      if (!(mask >> other & 1)) continue;
      Thread& o = threads[first + other];
      copy(slots[other], o.mine, sizeof(Slot));
      o.received = slots;
      ++o.exchanges;
      o.state = State::kReady;
    }
    return true;
  }
  return false;
}

void run_warp(int warp, std::vector<int>& lanes) {
  const int first = warp * kWarp, count = std::min(kWarp, block.threads - first);
  do {
    arrange(lanes, count);
    for (const int lane : lanes) {
      Thread& t = threads[first + lane];
      if (t.state == State::kReady) resume(t);
      if (!block.fault.empty()) throw Fault{block.fault};
    }
  } while (release_lanes(warp, first, count));
}

void run_block() {
  static std::vector<int> order, lanes;
  for (int i = 0; i < block.threads; ++i) prepare(threads[i], i);
  block.fault.clear();
  const int n = (block.threads + kWarp - 1) / kWarp;
  for (;;) {
    arrange(order, n);
    for (const int warp : order) run_warp(warp, lanes);
    const Thread* waiting = nullptr;
    const Thread* done = nullptr;
    int sum = 0;
    for (int i = 0; i < block.threads; ++i) {
      Thread& t = threads[i];
      if (t.state == State::kDone) {
        done = &t;
        continue;
      }
      if (waiting && waiting->site != t.site)
        throw Fault{where(t) + " and " + where(*waiting) + " wait at different __syncthreads"};
      waiting = &t;
      sum += t.predicate;
    }
    if (!waiting) return;
    if (done)
      throw Fault{where(*waiting) + " waits at __syncthreads, " + where(*done) + " has returned"};
    block.sum = sum;
    ++block.meetings;
    for (int i = 0; i < block.threads; ++i) threads[i].state = State::kReady;
  }
}

std::vector<std::byte*> retired;  // TSan sees a free as a write: it waits for the end of the grid

void retire_objects() {
  for (const Object& o : block.objects) retired.push_back(o.data);
  block.static_bytes = 0;
  block.objects.clear();
  if (block.dynamic) retired.push_back(block.dynamic);
  block.dynamic = nullptr;
}
void free_objects() {
  retire_objects();
#if TSAN
  __tsan_acquire(&block.end);
#endif
  for (std::byte* p : retired) std::free(p);
  retired.clear();
}

void poison_objects() {
  for (const Object& o : block.objects) std::memset(o.data, 0xff, o.bytes);
  if (block.dynamic) std::memset(block.dynamic, 0xff, block.dynamic_bytes);
}

std::byte* exactly(std::size_t bytes) {  // so that ASan's red zones begin where the object ends
  auto* p = static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
  std::memset(p, 0xff, bytes);
#if ASAN
  // The rest of the last line does not belong to the object.
  __asan_poison_memory_region(p + bytes, (bytes + 63) / 64 * 64 - bytes);
#endif
  return p;
}

}  // namespace

void run_grid(dim3 grid, dim3 dim, std::size_t dynamic, const std::function<void()>& body) {
  const int n = static_cast<int>(dim.x * dim.y * dim.z);
  need_threads(n);
  block.body = &body;
  block.threads = n;
  blockDim = dim;
  gridDim = grid;
  block.dynamic_bytes = dynamic;
  block.static_bytes = 0;
  const unsigned before = _mm_getcsr();
  if (settings.flush) _mm_setcsr(before | 0x8040);
  for (int i = 0; i < n; ++i) {
    const unsigned u = static_cast<unsigned>(i);
    threads[i].index = {u % dim.x, u / dim.x % dim.y, u / dim.x / dim.y};
    threads[i].here = {i / kWarp, i % kWarp};
  }
  std::vector<int> order;
  const int blocks = static_cast<int>(grid.x * grid.y * grid.z);
  arrange(order, blocks);
  counts.launches += 1;
  counts.threads += static_cast<long>(blocks) * n;
#if TSAN
  scheduler_fiber = __tsan_get_current_fiber();
#endif
  try {
    int turn = 0;
    for (const int b : order) {
      const unsigned u = static_cast<unsigned>(b);
      blockIdx = {u % grid.x, u / grid.x % grid.y, u / grid.x / grid.y};
      block.set = turn++ % kSets;
      if (TSAN) retire_objects();  // another block's shared memory is other memory
      poison_objects();
      if (dynamic > 0 && !block.dynamic) block.dynamic = exactly(dynamic);
#if TSAN
      __tsan_release(&block.start);
#endif
      run_block();
    }
  } catch (...) {
    free_objects();
    _mm_setcsr(before);
    throw;
  }
  free_objects();
  _mm_setcsr(before);
}

void stop(const char* what, ...) {
  va_list arguments;
  va_start(arguments, what);
  const std::string said = text(what, arguments);
  va_end(arguments);
  throw Fault{said};
}

void meet_block(Site site) {
  Thread& t = *running;
  t.site = site;
#if TSAN
  char* sync = &block.sync[block.meetings & 1];
  __tsan_release(sync);
#endif
  leave(State::kAtBlock);
#if TSAN
  __tsan_acquire(sync);
#endif
}

int meet_block_counting(int predicate, Site site) {
  running->predicate = predicate != 0;
  meet_block(site);
  const int sum = block.sum;
  running->predicate = 0;
  return sum;
}

const Slot* exchange(unsigned mask, const void* mine, std::size_t size, Site site) {
  Thread& t = *running;
  copy(t.mine, mine, size);
  t.mask = mask;
  t.site = site;
  leave(State::kAtWarp);
  return t.received;
}

void meet_warp(unsigned mask, Site site) {
#if TSAN
  const int warp = running->here.warp, lowest = __builtin_ctz(mask);
  void* sync = warps[warp].slots[lowest][threads[warp * kWarp + lowest].exchanges & 1];
  __tsan_release(sync);
#endif
  const char nothing = 0;
  exchange(mask, &nothing, 1, site);
#if TSAN
  __tsan_acquire(sync);
#endif
}

void* shared(std::size_t bytes, std::size_t) {
  Thread& t = *running;
  const auto index = static_cast<std::size_t>(t.objects++);
  if (index == block.objects.size()) {
    block.static_bytes += bytes;
    if (block.static_bytes > (48u << 10))
      stop("%zu bytes of static shared memory, 49152 allowed", block.static_bytes);
    block.objects.push_back({exactly(bytes), bytes});
#if TSAN
    __tsan_release(&block.objects);
#endif
  }
#if TSAN
  __tsan_acquire(&block.objects);
#endif
  const Object& o = block.objects[index];
  if (o.bytes != bytes) stop("threads declare shared memory in different orders");
  return o.data;
}

void* dynamic_shared() { return block.dynamic; }

}  // namespace emulation

using namespace emulation;

unsigned __ballot_sync(unsigned mask, int predicate, int line, const char* file) {
  const int p = predicate != 0;
  const Slot* all = exchange(mask, &p, sizeof(p), {file, line});
  unsigned votes = 0;
  for (int lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1 && here->warp * 32 + lane < block.threads)
      votes |= static_cast<unsigned>(lane_value<int>(all, lane)) << lane;
  return votes;
}
