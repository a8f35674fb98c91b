// Implements the pool and its barrier, and counts the processors this process may use.
#include "backend/cpu/pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <system_error>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "base/error.h"

namespace steep {

namespace {

// About 20 us of pauses before the core is offered to others, and 2 ms of offers before sleep:
// between two native calls of one fit() workers stay awake, in an idle process they sleep.
constexpr int kSpins = 1 << 10;
constexpr int kYields = 1 << 11;

// Denormals cost up to 40x in FMA-heavy loops; flush them while a job runs, restore afterwards.
class FlushDenormals {
 public:
#if defined(__SSE2__)
  FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040u); }
  ~FlushDenormals() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#endif
};

// cgroup v2 cpu.max ("QUOTA PERIOD" or "max PERIOD"), or v1's cfs files; 0 when unlimited.
int quota_cpus() {
  const auto whole = [](double quota, double period) {
    return quota > 0 && period > 0 ? std::max(1, static_cast<int>(std::ceil(quota / period))) : 0;
  };
  if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); v2) {
    std::string quota;
    double period = 0;
    if (v2 >> quota >> period && quota != "max") return whole(std::atof(quota.c_str()), period);
    return 0;
  }
  double quota = 0, period = 0;
  std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") >> quota;
  std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_period_us") >> period;
  return whole(quota, period);
}

int environment_threads() {
  for (const char* name : {"STEEP_NUM_THREADS", "OMP_NUM_THREADS"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && std::atoi(value) > 0) return std::atoi(value);
  }
  return 0;
}

}  // namespace

int usable_cpus() {
  int cpus = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) cpus = CPU_COUNT(&set);
  if (const int quota = quota_cpus(); quota > 0) cpus = std::min(cpus, quota);
#endif
  return std::max(1, cpus);
}

namespace {

// Counting opens a file: too dear for every job.
int cpus_at_start() {
  static const int cpus = usable_cpus();
  return cpus;
}

}  // namespace

Barrier::Barrier(int threads) : threads_(threads), spins_(threads > cpus_at_start() ? 1 : kSpins) {}

void Barrier::meet() {
  const unsigned round = round_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.store(round + 1, std::memory_order_release);
    return;
  }
  for (int i = 0; round_.load(std::memory_order_acquire) == round; ++i) {
    if (i < spins_) {
      relax();
    } else {
      sched_yield();
    }
  }
}

Pool::Pool(int threads) : wanted_(threads) {}

Pool::~Pool() { resize(0); }

void Pool::set_threads(int n) {
  if (n < 1) refuse("set_num_threads: expects an integer >= 1, got ", n);
  wanted_ = n;
}

void Pool::resize(int workers) {
  if (static_cast<int>(workers_.size()) > workers) {
    stop_ = true;
    for (auto& worker : workers_) worker->calls.fetch_add(1, std::memory_order_seq_cst);
    {
      std::lock_guard lock(sleep_);
      wake_.notify_all();
    }
    for (auto& worker : workers_) worker->thread.join();
    workers_.clear();
    stop_ = false;
  }
  while (static_cast<int>(workers_.size()) < workers) {
    const int index = static_cast<int>(workers_.size()) + 1;
    workers_.push_back(std::make_unique<Worker>());
    Worker& self = *workers_.back();
    try {
      self.thread = std::thread([this, &self, index] { work(self, index); });
    } catch (const std::system_error&) {
      workers_.pop_back();  // the system has no more threads: do with those there are
      return;
    }
  }
}

void Pool::run_job(int threads, Job job) {
  std::unique_lock busy(busy_, std::defer_lock);
  const bool alone = threads <= 1 || !busy.try_lock();
  FlushDenormals flush;
  if (alone) {
    job.call(job.body, 0, 1);
    return;
  }
  // Surplus workers of an earlier, larger set_threads() end here.
  if (const int most = std::max(threads, this->threads()) - 1;
      static_cast<int>(workers_.size()) < threads - 1 || static_cast<int>(workers_.size()) > most) {
    resize(threads - 1);
    threads = static_cast<int>(workers_.size()) + 1;
  }
  if (threads == 1) {
    job.call(job.body, 0, 1);
    return;
  }
  job_ = job;
  members_ = threads;
  barrier_.emplace(threads);
  running_.store(threads - 1, std::memory_order_relaxed);
  for (int i = 0; i < threads - 1; ++i) {
    workers_[i]->calls.fetch_add(1, std::memory_order_seq_cst);
  }
  if (sleepers_.load(std::memory_order_seq_cst) > 0) {
    std::lock_guard lock(sleep_);
    wake_.notify_all();
  }
  job.call(job.body, 0, threads);
  for (int i = 0; running_.load(std::memory_order_acquire) > 0; ++i) {
    if (i < kSpins) {
      relax();
    } else {
      sched_yield();
    }
  }
}

void Pool::work(Worker& self, int index) {
  for (unsigned answered = 0;; ++answered) {
    const auto called = [&] { return self.calls.load(std::memory_order_seq_cst) != answered; };
    for (int i = 0; !called(); ++i) {
      if (i < kSpins) {
        relax();
      } else if (i < kSpins + kYields) {
        sched_yield();
      } else {
        std::unique_lock lock(sleep_);
        sleepers_.fetch_add(1, std::memory_order_seq_cst);
        wake_.wait(lock, called);
        sleepers_.fetch_sub(1, std::memory_order_seq_cst);
      }
    }
    if (stop_.load()) return;
    {
      FlushDenormals flush;
      job_.call(job_.body, index, members_);
    }
    running_.fetch_sub(1, std::memory_order_release);
  }
}

namespace {

std::atomic<Pool*> the_pool{nullptr};

// The child of fork() has only the calling thread: it starts anew on demand. The old pool is leaked
// on purpose, its threads and locks are in no state to be destroyed.
void after_fork() {
  if (const Pool* old = the_pool.load(); old != nullptr) the_pool = new Pool(old->threads());
}

}  // namespace

// Never destroyed: threads may still sleep in it when the process ends.
Pool& pool() {
  static std::once_flag once;
  std::call_once(once, [] {
    const int asked = environment_threads();
    the_pool = new Pool(asked > 0 ? asked : usable_cpus());
    pthread_atfork(nullptr, nullptr, &after_fork);
  });
  return *the_pool.load(std::memory_order_acquire);
}

}  // namespace steep
