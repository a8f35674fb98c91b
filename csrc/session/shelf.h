// Forward passes that wait for their next caller: a call runs on one that nobody else has.
#pragma once
#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "executor.h"

namespace steep {

class Shelf {
  struct Back {
    Shelf* shelf;
    void operator()(Forward* forward) const { shelf->put(std::unique_ptr<Forward>(forward)); }
  };

 public:
  using Loan = std::unique_ptr<Forward, Back>;  // goes back to the shelf when the loan ends

  // One for at least `rows`; make(rows) where none is free. It takes the place of a smaller one that
  // is, so that there are never more than there were callers at once.
  template <class Make> Loan take(long rows, Make&& make) {
    std::unique_ptr<Forward> forward = largest();
    try {
      if (!forward || forward->capacity() < rows) forward = make(rows);
    } catch (...) {
      put(std::move(forward));
      throw;
    }
    return {forward.release(), Back{this}};
  }

  long bytes() {
    std::lock_guard lock(mutex_);
    long bytes = 0;
    for (const auto& forward : free_) bytes += forward->bytes();
    return bytes;
  }

 private:
  std::unique_ptr<Forward> largest() {
    std::lock_guard lock(mutex_);
    free_.reserve(free_.size() + static_cast<std::size_t>(++lent_));  // put() must not throw
    const auto at = std::max_element(free_.begin(), free_.end(), [](const auto& a, const auto& b) {
      return a->capacity() < b->capacity();
    });
    if (at == free_.end()) return nullptr;
    std::unique_ptr<Forward> forward = std::move(*at);
    free_.erase(at);
    return forward;
  }
  void put(std::unique_ptr<Forward> forward) {
    std::lock_guard lock(mutex_);
    --lent_;
    if (forward) free_.push_back(std::move(forward));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<Forward>> free_;
  int lent_ = 0;
};

}  // namespace steep
