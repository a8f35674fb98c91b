// Hints to the processor about memory that will soon be used. They change no result.
#pragma once

namespace steep {

constexpr long kCacheLine = 64;  // bytes

// Into the second-level cache: the first belongs to what is running.
inline void prefetch_read(const void* p) { __builtin_prefetch(p, 0, 2); }

// To be written: takes the line away from other cores, which costs more than fetching it.
inline void prefetch_write(const void* p) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(p)));
#else
  __builtin_prefetch(p, 1, 2);
#endif
}

}  // namespace steep
