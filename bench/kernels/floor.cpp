// What this machine can do at best: fused multiply-adds per second from registers, and bytes per
// second of w += s*g, the leanest update there is (two reads and a write, nothing else).
#include <algorithm>
#include <atomic>
#include <ctime>
#include <thread>
#include <vector>

namespace {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
typedef float Vector __attribute__((vector_size(kBytes)));

// Processor time of this thread, so that a floor does not sink when others use the machine.
double now() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Runs work(thread) in all threads for `seconds` of each; returns units done per second by all.
// work(thread) returns the units of one call. Threads start together.
template <class Work>
double rate(int threads, double seconds, const Work& work) {
  std::atomic<int> waiting{threads};
  std::vector<double> rates(threads);
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; t++)
    pool.emplace_back([&, t] {
      work(t);
      waiting--;
      while (waiting > 0) std::this_thread::yield();
      const double start = now();
      double done = 0, elapsed = 0;
      do {
        done += work(t);
        elapsed = now() - start;
      } while (elapsed < seconds);
      rates[t] = done / elapsed;
    });
  for (auto& thread : pool) thread.join();
  double sum = 0;
  for (double r : rates) sum += r;
  return sum;
}

volatile float sink;

double multiply_add() {
  constexpr int kChains = 12;  // enough to hide the latency, few enough for the registers
  constexpr int kRounds = 20000;
  Vector sums[kChains];
  Vector a = Vector{} + 1.0001f, b = Vector{} + 1e-7f;
  for (int i = 0; i < kChains; i++) sums[i] = Vector{} + static_cast<float>(i);
  for (int round = 0; round < kRounds; round++) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; i++) sums[i] = sums[i] * a + b;
    asm volatile("" : "+x"(a));
  }
  Vector total{};
  for (auto& sum : sums) total += sum;
  sink = total[0];
  return 2.0 * kRounds * kChains * (kBytes / sizeof(float));
}

}  // namespace

extern "C" double flops_per_second(int threads, double seconds) {
  return rate(threads, seconds, [](int) { return multiply_add(); });
}

// `bytes` is the size of both arrays together, split evenly over the threads.
extern "C" double bytes_per_second(int threads, double seconds, long bytes) {
  const long n = std::max<long>(bytes / (2 * static_cast<long>(sizeof(float)) * threads), 64);
  const long repeats = std::max<long>(1, 65536 / n);
  std::vector<std::vector<float>> w(threads), g(threads);
  return rate(threads, seconds, [&](int t) {
    if (w[t].empty()) {
      w[t].assign(n, 1.f);
      g[t].assign(n, 1.f);
    }
    float* __restrict__ out = w[t].data();
    const float* __restrict__ in = g[t].data();
    for (long r = 0; r < repeats; r++) {
      for (long i = 0; i < n; i++) out[i] += 1e-9f * in[i];
      asm volatile("" ::: "memory");
    }
    return 12.0 * n * repeats;
  });
}
