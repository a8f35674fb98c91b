// A 16-byte vector through compiler extensions: SSE2, NEON, VSX or plain scalars, as the target
// has.
#pragma once
#include <cstring>

// Elements i, j, k, l of the eight of a and b. GCC before 12 and Clang have one name each.
#ifdef __clang__
#define STEEP_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define STEEP_SHUFFLE(a, b, i, j, k, l) \
  __builtin_shuffle(a, b, typename Vec128<T>::Index{i, j, k, l})
#endif

namespace steep::STEEP_ISA {

template <class T>
struct Vec128 {
  typedef T Reg __attribute__((vector_size(16)));
  typedef int Index __attribute__((vector_size(16)));
  static constexpr int width = 16 / sizeof(T);

  static Reg load(const T* p) {
    Reg v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  static void store(T* p, Reg v) { std::memcpy(p, &v, sizeof v); }
  // The first `lanes` lanes; the others are zero, or left alone in memory.
  static Reg load_part(const T* p, long lanes) {
    Reg v{};
    for (int i = 0; i < width; ++i) v[i] = i < lanes ? p[i] : T(0);
    return v;
  }
  static void store_part(T* p, Reg v, long lanes) {
    for (int i = 0; i < width; ++i)
      if (i < lanes) p[i] = v[i];
  }
  static Reg set1(T s) { return s - Reg{}; }
  static Reg zero() { return Reg{}; }
  // a*b + c, with one rounding where the target has the instruction.
  static Reg fma(Reg a, Reg b, Reg c) {
#ifdef __FP_FAST_FMAF
    Reg out;
    for (int i = 0; i < width; ++i) {
      if constexpr (sizeof(T) == 4) {
        out[i] = __builtin_fmaf(a[i], b[i], c[i]);
      } else {
        out[i] = __builtin_fma(a[i], b[i], c[i]);
      }
    }
    return out;
#else
    return a * b + c;
#endif
  }
  static Reg relu(Reg x) { return x < zero() ? zero() : x; }  // keeps NaN

  // Lanes q of w[0..3] become w[q] of four 4-element rows, in each four lanes on their own.
  static void transpose4(Reg (&w)[4]) {
    if constexpr (width == 4) {
      const Reg a = STEEP_SHUFFLE(w[0], w[1], 0, 4, 1, 5),
                b = STEEP_SHUFFLE(w[0], w[1], 2, 6, 3, 7);
      const Reg c = STEEP_SHUFFLE(w[2], w[3], 0, 4, 1, 5),
                d = STEEP_SHUFFLE(w[2], w[3], 2, 6, 3, 7);
      w[0] = STEEP_SHUFFLE(a, c, 0, 1, 4, 5);
      w[1] = STEEP_SHUFFLE(a, c, 2, 3, 6, 7);
      w[2] = STEEP_SHUFFLE(b, d, 0, 1, 4, 5);
      w[3] = STEEP_SHUFFLE(b, d, 2, 3, 6, 7);
    }
  }
  // Four elements l of the result are p[4*l*stride ..]; here there are four at most.
  static Reg load_lanes(const T* p, long) { return load(p); }
};

}  // namespace steep::STEEP_ISA
