// Seconds on a clock that never jumps.
#pragma once
#include <chrono>

namespace steep {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace steep
