// The queue of a Gate.
#include "base/gate.h"

#include <chrono>

namespace steep {

namespace {
constexpr std::chrono::milliseconds kPatience{50};  // between two looks at the halt
}

bool Gate::enter(bool exclusive, Halt* halt) {
  std::unique_lock lock(mutex_);
  if (!queue_.empty() || !open(exclusive)) {
    const auto self = queue_.insert(queue_.end(), exclusive);
    ++waiting_;
    const auto mine = [&] { return queue_.begin() == self && open(exclusive); };
    // By the system's clock: of a wait by the steady one, ThreadSanitizer does not see the mutex.
    const auto soon = [] { return std::chrono::system_clock::now() + kPatience; };
    bool halted = false;
    while (!halted && !changed_.wait_until(lock, soon(), mine)) {
      if (halt == nullptr) continue;
      lock.unlock();
      halt->ask();
      lock.lock();
      halted = halt->wanted();
    }
    queue_.erase(self);
    --waiting_;
    if (halted) changed_.notify_all();
    if (halted) return false;
  }
  if (exclusive) {
    writing_ = true;
  } else {
    ++readers_;
    changed_.notify_all();  // the next in the queue may be a reader, too
  }
  return true;
}

void Gate::leave(bool exclusive) {
  std::lock_guard lock(mutex_);
  if (exclusive) {
    writing_ = false;
  } else {
    --readers_;
  }
  changed_.notify_all();
}

}  // namespace steep
