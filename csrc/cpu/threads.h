// The one thread pool: workers that spin, then yield, then sleep; and the barrier they meet at.
#pragma once
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <vector>

namespace steep {

// Hints the processor that this is a spin loop.
inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// All `threads` parties wait for each other; reusable. Yields early when cores are oversubscribed.
class Barrier {
 public:
  explicit Barrier(int threads);
  void wait() {
    if (threads_ > 1) meet();
  }

 private:
  void meet();
  const int threads_;
  const int spins_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<unsigned> round_{0};
};

class Pool {
 public:
  // Calls job(thread, threads) on 0..threads-1, thread 0 being the caller's, and waits for all of
  // them. When the pool is already at work for someone else, the caller runs it alone as job(0, 1):
  // no result depends on the number of threads. Exceptions must not leave the job.
  template <class F> void run(int threads, F&& job) {
    using Body = std::remove_reference_t<F>;
    run_job(threads,
            {[](void* body, int thread, int all) { (*static_cast<Body*>(body))(thread, all); },
             const_cast<void*>(static_cast<const void*>(&job))});
  }
  // All threads of the running job wait for each other; a job that runs alone must not ask.
  void meet() { barrier_->wait(); }

  // Most threads of a job of the calling thread: its own limit where it has one, else everybody's.
  int threads() const;
  int default_threads() const { return wanted_.load(std::memory_order_relaxed); }
  // Everybody's limit, from 1 to kMaxThreads; more than the processors there are is allowed.
  void set_threads(int n);
  void limit_threads(int n);  // of the calling thread, 0 for none of its own

  explicit Pool(int threads);
  ~Pool();

 private:
  struct Worker {
    alignas(64) std::atomic<unsigned> calls{0};  // jobs this worker has been called to
    std::thread thread;
  };
  struct Job {
    void (*call)(void* body, int thread, int threads);
    void* body;
  };
  void run_job(int threads, Job job);
  void resize(int workers);
  void work(Worker& self, int index);

  std::atomic<int> wanted_;
  std::atomic<bool> surplus_{false};  // there may be workers whom nobody wants any more
  std::mutex busy_;
  std::vector<std::unique_ptr<Worker>> workers_;
  alignas(64) std::atomic<int> running_{0};
  std::atomic<bool> stop_{false};
  int members_ = 0;  // threads of the job, written before the calls
  Job job_{};        // likewise
  std::optional<Barrier> barrier_;
  std::mutex sleep_;
  std::condition_variable wake_;
  std::atomic<int> sleepers_{0};
};

// STEEP_NUM_THREADS, else OMP_NUM_THREADS, else 0; refuses a STEEP_NUM_THREADS that is no number.
int environment_threads();

// How many threads work of `cost` flops is worth.
int threads_for(double cost);

Pool& pool();  // refuses what the environment says about threads where it makes no sense

}  // namespace steep
