// Numbers as a tensor has them in memory: float32, or bfloat16, written as the nearest, the even one of two, and
// read as they are. Sums and functions are of float32 in any case.
#pragma once
#include "base/math.h"
#include "cuda/kernels/launch.h"

namespace steep::cuda {

struct Brain { uint16_t bits; };

STEEP_HD float widened(float x) { return x; }
STEEP_HD float widened(Brain x) {
  return float_(static_cast<int32_t>(static_cast<uint32_t>(x.bits) << 16));
}
// The bits of two numbers, the lower ones those of the first, as cvt.rn.bf16x2.f32 rounds; a NaN becomes 0x7fff.
STEEP_HD uint32_t rounded_pair(float low, float high) {
#if defined(__CUDA_ARCH__)
  uint32_t bits;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
#else
  const auto rounded = [](float x) {
    const uint32_t bits = bits_(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fffu;
    return (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
  };
  return rounded(high) << 16 | rounded(low);
#endif
}
STEEP_HD void put(float* to, float x) { *to = x; }
STEEP_HD void put(Brain* to, float x) {
  to->bits = static_cast<uint16_t>(rounded_pair(x, 0.0f) & 0xffffu);
}

struct alignas(16) Four { float of[4]; };  // what a thread reads or writes at once
struct alignas(8) FourBrains { uint32_t of[2]; };
STEEP_HD Four widened(const FourBrains& x) {
  return {float_(static_cast<int32_t>(x.of[0] << 16)),
          float_(static_cast<int32_t>(x.of[0] & 0xffff0000u)),
          float_(static_cast<int32_t>(x.of[1] << 16)),
          float_(static_cast<int32_t>(x.of[1] & 0xffff0000u))};
}
STEEP_HD Four widened(const Four& x) { return x; }
// One of four that are 0 so far.
STEEP_HD void set(Four& x, int i, float to) { x.of[i] = to; }
STEEP_HD void set(FourBrains& x, int i, Brain to) {
  x.of[i / 2] |= static_cast<uint32_t>(to.bits) << (16 * (i % 2));
}
template <class T> struct FourOf;
template <> struct FourOf<float> { using type = Four; };
template <> struct FourOf<Brain> { using type = FourBrains; };

template <class T> STEEP_HD const T* numbers_of(const View& x) {
  return reinterpret_cast<const T*>(x.data);
}
template <class T> STEEP_HD T* room_of(const View& x) { return reinterpret_cast<T*>(x.data); }

// May fours be read from p on, and `step` further on?
template <class T> STEEP_HD bool aligned(const T* p, long step) {
  return reinterpret_cast<unsigned long>(p) % (4 * sizeof(T)) == 0 && step % 4 == 0;
}
STEEP_HD bool aligned(const View& x) {
  return x.bfloat16 ? aligned(numbers_of<Brain>(x), x.ld) : aligned(x.data, x.ld);
}

// How a kernel reads and writes tensors, by places in them. Those of float32 alone, ...
struct Floats {
  static STEEP_HD float get(const View& x, long at) { return x.data[at]; }
  static STEEP_HD void put(const View& x, long at, float value) { x.data[at] = value; }
  static STEEP_HD Four four(const View& x, long at) {
    return *reinterpret_cast<const Four*>(x.data + at);
  }
  static STEEP_HD void put_four(const View& x, long at, const Four& values) {
    *reinterpret_cast<Four*>(x.data + at) = values;
  }
};
// ... or each as it is: the same way for all threads. Nothing is converted before all is asked for.
struct Either {
  static STEEP_HD float get(const View& x, long at) {
    const uint32_t bits =
        x.bfloat16 ? static_cast<uint32_t>(numbers_of<Brain>(x)[at].bits) << 16 : bits_(x.data[at]);
    return float_(static_cast<int32_t>(bits));
  }
  static STEEP_HD void put(const View& x, long at, float value) {
    x.bfloat16 ? cuda::put(room_of<Brain>(x) + at, value) : cuda::put(x.data + at, value);
  }
  static STEEP_HD Four four(const View& x, long at) {
    if (!x.bfloat16) return Floats::four(x, at);
    return widened(*reinterpret_cast<const FourBrains*>(numbers_of<Brain>(x) + at));
  }
  static STEEP_HD void put_four(const View& x, long at, const Four& values) {
    if (!x.bfloat16) return Floats::put_four(x, at, values);
    *reinterpret_cast<FourBrains*>(room_of<Brain>(x) + at) = {
        {rounded_pair(values.of[0], values.of[1]), rounded_pair(values.of[2], values.of[3])}};
  }
};
// Calls f with the one of the two that these tensors want.
template <class F, class... Views> void with_storage(const F& f, const Views&... views) {
  (views.bfloat16 || ...) ? f(Either{}) : f(Floats{});
}
// Calls f with the number that a tensor is of.
template <class F> void with_number(const View& x, const F& f) {
  x.bfloat16 ? f(Brain{}) : f(float{});
}

}  // namespace steep::cuda
