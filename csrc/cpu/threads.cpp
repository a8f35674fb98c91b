// Implements the pool and its barrier.
#include "cpu/threads.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <system_error>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "base/error.h"
#include "cpu.h"

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
#elif defined(__aarch64__)
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    set(saved_ | 1UL << 24);  // FZ
  }
  ~FlushDenormals() { set(saved_); }

 private:
  static void set(unsigned long word) { asm volatile("msr fpcr, %0" ::"r"(word)); }

  unsigned long saved_;
#endif
};

// Of the calling thread, 0 for none: another thread's jobs must not depend on it.
thread_local int own_limit = 0;

// Counting opens a file: too dear for every job.
int cpus_at_start() {
  static const int cpus = cpu::usable_cpus();
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

int Pool::threads() const { return own_limit > 0 ? own_limit : default_threads(); }

void Pool::set_threads(int n) {
  if (n < 1 || n > cpu::kMaxThreads) {
    refuse("set_num_threads: expects an integer from 1 to ", cpu::kMaxThreads, ", got ", n);
  }
  wanted_ = n;
  surplus_ = true;
}

void Pool::limit_threads(int n) {
  if (n < 0 || n > cpu::kMaxThreads) {
    refuse("limit_threads: expects an integer from 0 to ", cpu::kMaxThreads, ", got ", n);
  }
  if (own_limit > wanted_) surplus_ = true;
  own_limit = n;
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
  // Surplus workers of an earlier, larger limit end here; those of other threads' jobs only sleep.
  const int there = static_cast<int>(workers_.size());
  const bool surplus = surplus_.exchange(false) && there > std::max(threads, wanted_.load()) - 1;
  if (there < threads - 1 || surplus) {
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
  if (const Pool* old = the_pool.load(); old != nullptr)
    the_pool = new Pool(old->default_threads());
}

}  // namespace

// Never destroyed: threads may still sleep in it when the process ends.
Pool& pool() {
  static std::once_flag once;
  std::call_once(once, [] {
    const int asked = environment_threads();
    the_pool = new Pool(asked > 0 ? asked : cpu::usable_cpus());
    pthread_atfork(nullptr, nullptr, &after_fork);
  });
  return *the_pool.load(std::memory_order_acquire);
}

int cpu::threads() { return pool().threads(); }
void cpu::set_threads(int n) { pool().set_threads(n); }
void cpu::limit_threads(int n) { pool().limit_threads(n); }

int threads_for(double cost) {
  // Meeting at two barriers costs about a microsecond; below two of work each, threads lose.
  constexpr double kFlopsPerThread = 1.6e5;
  return std::clamp(static_cast<int>(cost / kFlopsPerThread), 1, pool().threads());
}

}  // namespace steep
