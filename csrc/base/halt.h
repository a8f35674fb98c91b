// The wish of the outside that a long call stop: asked by the caller's own thread, seen by all.
#pragma once
#include <atomic>
#include <chrono>
#include <functional>
#include <utility>

namespace steep {

class Halt {
 public:
  // `wish` is called on the thread that made the call, every kPause at most.
  explicit Halt(std::function<bool()> wish) : wish_(std::move(wish)), last_(Clock::now()) {}

  void ask() {
    if (!wish_ || wanted()) return;
    const auto now = Clock::now();
    if (now - last_ < kPause) return;
    last_ = now;
    if (wish_()) wanted_.store(true, std::memory_order_relaxed);
  }
  bool wanted() const { return wanted_.load(std::memory_order_relaxed); }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kPause{30};
  std::function<bool()> wish_;
  Clock::time_point last_;
  std::atomic<bool> wanted_{false};
};

}  // namespace steep
