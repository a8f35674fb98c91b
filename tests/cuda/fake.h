// What the made-up libraries share: what they found wrong, the numbers they read, and the streams of the
// emulation, on which they run.
#pragma once
#include <cmath>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace fake {

inline std::string said;  // the last thing that was wrong
inline long runs = 0;     // how much was computed

// Of the emulation, in the module that uses the library.
using Enqueue = void (*)(void* stream, void (*f)(void*), void* data, void (*free)(void*));
using Holds = int (*)(const void* p, std::size_t bytes);
inline Enqueue enqueue_;
inline Holds holds_;

__attribute__((format(printf, 2, 3))) inline int wrong(int status, const char* what, ...) {
  char text[300];
  va_list all;
  va_start(all, what);
  std::vsnprintf(text, sizeof(text), what, all);
  va_end(all);
  said = text;
  return status;
}

inline void enqueue(void* stream, std::function<void()> f) {
  auto* const held = new std::function<void()>(std::move(f));
  enqueue_(
      stream,
      [](void* p) {
        (*static_cast<std::function<void()>*>(p))();
        ++runs;
      },
      held, [](void* p) { delete static_cast<std::function<void()>*>(p); });
}

inline bool aligned(const void* p, std::uintptr_t by) {
  return p != nullptr && reinterpret_cast<std::uintptr_t>(p) % by == 0;
}
inline bool holds(const void* p, std::size_t bytes) {
  return holds_ == nullptr || holds_(p, bytes);
}
inline bool overlap(const void* a, std::size_t n, const void* b, std::size_t m) {
  const auto *x = static_cast<const char*>(a), *y = static_cast<const char*>(b);
  return x < y + m && y < x + n;
}

inline float of_bits(std::uint32_t bits) { return __builtin_bit_cast(float, bits); }
inline std::uint32_t bits_of(float x) { return __builtin_bit_cast(std::uint32_t, x); }
inline float tf32(float x) {
  return std::isfinite(x) ? of_bits((bits_of(x) + 0x1000u) & 0xffffe000u) : x;
}
inline std::uint16_t bf16(float x) {
  if (std::isnan(x)) return 0x7fff;
  return static_cast<std::uint16_t>((bits_of(x) + 0x7fffu + (bits_of(x) >> 16 & 1)) >> 16);
}
// Number i of an array: of bfloat16, or rounded to TF32.
inline double factor(const void* data, bool narrow, long i) {
  if (!narrow) return tf32(static_cast<const float*>(data)[i]);
  return of_bits(static_cast<std::uint32_t>(static_cast<const std::uint16_t*>(data)[i]) << 16);
}
// Nobody may count on what a workspace holds.
inline void spoil(void* workspace, std::size_t bytes) { std::memset(workspace, 0xff, bytes); }

}  // namespace fake

EXPORT void fake_begin(void* enqueue, void* holds) {
  fake::enqueue_ = reinterpret_cast<fake::Enqueue>(enqueue);
  fake::holds_ = reinterpret_cast<fake::Holds>(holds);
}
EXPORT const char* fake_said() { return fake::said.c_str(); }
EXPORT long fake_runs() { return fake::runs; }
