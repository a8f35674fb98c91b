// Hints to the processor about memory that will soon be used. They change no result.
#pragma once
#if defined(__x86_64__)
#include <emmintrin.h>
#else
#include <algorithm>
#endif

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

// Copies n elements past the caches to where nobody will read them soon: what is written needs not be
// fetched first. `to` is a cache line's beginning, n elements fill whole ones. Others see them once the
// caller has met them.
template <class T> void copy_past_caches(const T* from, T* to, long n) {
#if defined(__x86_64__)
  constexpr long kEach = sizeof(__m128i) / sizeof(T);
  for (long i = 0; i < n; i += kEach) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + i),
                     _mm_load_si128(reinterpret_cast<const __m128i*>(from + i)));
  }
  _mm_sfence();
#else
  std::copy_n(from, n, to);
#endif
}

}  // namespace steep
