// Plans that wait for their next caller: a call runs on one that nobody else has.
#pragma once
#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "cpu/plan.h"

namespace steep {

template <class T> class Shelf {
 public:
  // On loan; goes back to the shelf when the loan ends.
  class Loan {
   public:
    Loan(Shelf& shelf, std::unique_ptr<Plan<T>> plan) : shelf_(shelf), plan_(std::move(plan)) {}
    ~Loan() { shelf_.put(std::move(plan_)); }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    Plan<T>& operator*() const { return *plan_; }
    Plan<T>* operator->() const { return plan_.get(); }

   private:
    Shelf& shelf_;
    std::unique_ptr<Plan<T>> plan_;
  };

  // A plan of at least `rows`; make(rows) where none is free. It takes the place of a smaller one
  // that is, so that there are never more plans than there were callers at once.
  template <class Make> Loan take(long rows, Make&& make) {
    std::unique_ptr<Plan<T>> plan;
    {
      std::lock_guard lock(mutex_);
      const auto largest = std::max_element(
          free_.begin(), free_.end(),
          [](const auto& a, const auto& b) { return a->capacity() < b->capacity(); });
      if (largest != free_.end()) {
        plan = std::move(*largest);
        free_.erase(largest);
      }
      free_.reserve(free_.size() + static_cast<std::size_t>(++lent_));  // put() must not throw
    }
    if (plan && plan->capacity() >= rows) return {*this, std::move(plan)};
    try {
      auto larger = make(rows);
      return {*this, std::move(larger)};
    } catch (...) {
      put(std::move(plan));
      throw;
    }
  }

  long arena_bytes() {
    std::lock_guard lock(mutex_);
    long bytes = 0;
    for (const auto& plan : free_) bytes += plan->arena_bytes();
    return bytes;
  }

 private:
  void put(std::unique_ptr<Plan<T>> plan) {
    std::lock_guard lock(mutex_);
    --lent_;
    if (plan) free_.push_back(std::move(plan));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<Plan<T>>> free_;
  int lent_ = 0;
};

}  // namespace steep
