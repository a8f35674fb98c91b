// Uniform numbers of random words, and normal ones of pairs of them (Box & Muller 1958). The words come
// from philox.h; no generator lives here.
//
// Largest errors found of the float functions, every 61st word, in units in the last place: turn_ 1.8 of the
// larger of cos and sin, the radius 1.8.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA {

// (word + 1/2)/2^32, in (0, 1): what float32 would round to 1 is the number below.
template <class T>
STEEP_HD T unit_(uint32_t word) {
  constexpr T kLargest = T(1) - T(__is_same(T, float) ? 0x1p-24 : 0x1p-53);
  const T u = (T(word) + T(0.5)) * T(0x1p-32);
  return u < kLargest ? u : kLargest;
}

// Its logarithm: near 1, which float32 knows to 2^-24 only, that of 1 - (1/2 + what is left of the words)/2^32.
template <class T>
STEEP_HD T log_unit(uint32_t word);
template <>
STEEP_HD float log_unit(uint32_t word) {
  const int32_t bits = int32_t(bits_((float(word) + 0.5f) * 0x1p-32f));
  const int32_t n = (bits - 0x3f3504f3) >> 23;  // as in log_
  const float near = (float(~word) + 0.5f) * -0x1p-32f;
  return log_core(n == 0 ? near : float_(bits - (n << 23)) - 1.0f, float(n));
}
template <>
STEEP_HD double log_unit(uint32_t word) {
  return std::log((double(word) + 0.5) * 0x1p-32);
}

template <class T>
struct Turn {
  T cos, sin;
};

// Of 2 pi x, |x| <= 1/8: relative error of sin 3.3e-9, of cos 1e-10 (minimax).
STEEP_HD Turn<float> small_turn(float x) {
  const float s = x * x;
  float p = fma_(-7.53937040e1f, s, 8.15923574e1f);
  p = fma_(p, s, -4.13416615e1f);
  p = fma_(p, s, 6.28318529f);
  float q = fma_(5.92459669e1f, s, -8.54437418e1f);
  q = fma_(q, s, 6.49393265e1f);
  q = fma_(q, s, -1.97392087e1f);
  return {fma_(q, s, 1.0f), p * x};
}
STEEP_HD Turn<double> small_turn(double x) {
  const double angle = 6.28318530717958647693 * x;
  return {std::cos(angle), std::sin(angle)};
}

// cos and sin of 2 pi (word + 1/2)/2^32: of what is left of the nearest quarter of a turn, which is
// exact, and then of the quarters.
template <class T>
STEEP_HD Turn<T> turn_(uint32_t word) {
  const uint32_t quarter = (word + 0x20000000u) >> 30;
  const Turn<T> rest = small_turn((T(int32_t(word - (quarter << 30))) + T(0.5)) * T(0x1p-32));
  const T c = quarter & 1 ? rest.sin : rest.cos, s = quarter & 1 ? rest.cos : rest.sin;
  return {(quarter + 1) & 2 ? -c : c, quarter & 2 ? -s : s};
}

// Two independent normal numbers.
template <class T>
struct NormalPair {
  T first, second;
};

template <class T>
STEEP_HD NormalPair<T> normal_pair(uint32_t length, uint32_t angle) {
  const T radius = sqrt_(T(-2) * log_unit<T>(length));
  const Turn<T> turn = turn_<T>(angle);
  return {radius * turn.cos, radius * turn.sin};
}

}  // namespace steep::STEEP_ISA
