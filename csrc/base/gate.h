// A lock for many readers or one writer, first come first served. Whoever waits for it must not hold
// what its holder may ask for: in bindings, the GIL.
#pragma once
#include <atomic>
#include <condition_variable>
#include <list>
#include <mutex>

#include "base/halt.h"

namespace steep {

class Gate {
 public:
  // False when the halt was wanted before the gate opened.
  bool enter(bool exclusive, Halt* halt);
  void leave(bool exclusive);
  // Whether somebody waits: a writer that could go on makes room.
  bool awaited() const { return waiting_.load(std::memory_order_relaxed) > 0; }

 private:
  bool open(bool exclusive) const { return !writing_ && (!exclusive || readers_ == 0); }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<bool> queue_;  // who waits, in order of arrival: whether to write
  std::atomic<int> waiting_{0};
  long readers_ = 0;
  bool writing_ = false;
};

// Inside a gate as long as it lives, if it came in.
class Inside {
 public:
  enum Purpose { kRead, kWrite };
  Inside(Gate& gate, Purpose purpose, Halt* halt = nullptr)
      : gate_(gate), exclusive_(purpose == kWrite), in_(gate.enter(exclusive_, halt)) {}
  ~Inside() {
    if (in_) gate_.leave(exclusive_);
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  explicit operator bool() const { return in_; }

 private:
  Gate& gate_;
  const bool exclusive_, in_;
};

}  // namespace steep
