// Scalar mathematics of the formulas: branch-free, so that a compiler can vectorise every loop over
// it; for double it is <cmath>. No formula of a rule, an activation or a loss lives here.
//
// Largest errors found of the float functions, every 61st float of the whole range, in units in the
// last place: exp_ 1.1, expm1_ 1.1, log_ 0.9, log1p_unit 1.4, softplus_ 1.7, density 2.1 (above
// -12.5), logistic_ 2.3, tanh_ 2.6, cdf 6.0. Denormal results count in units of the smallest float.
#pragma once
#include <cmath>
#include <cstdint>

#include "base/hd.h"

namespace steep::STEEP_ISA {

template <class T>
struct BitsOf;
template <>
struct BitsOf<float> {
  using type = uint32_t;
  static constexpr type kMagnitude = 0x7fffffffu, kInfinity = 0x7f800000u;
};
template <>
struct BitsOf<double> {
  using type = uint64_t;
  static constexpr type kMagnitude = 0x7fffffffffffffffull, kInfinity = 0x7ff0000000000000ull;
};

STEEP_HD uint32_t bits_(float x) { return __builtin_bit_cast(uint32_t, x); }
STEEP_HD uint64_t bits_(double x) { return __builtin_bit_cast(uint64_t, x); }
STEEP_HD float float_(int32_t bits) { return __builtin_bit_cast(float, bits); }

// a*b + c: fused where the instruction set can, so that a loop's body and its tail always agree.
template <class T>
STEEP_HD T fma_(T a, T b, T c) {
#if STEEP_HAS_FMA
  if constexpr (sizeof(T) == 4)
    return __builtin_fmaf(a, b, c);
  else
    return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}

STEEP_HD float sqrt_(float x) { return __builtin_sqrtf(x); }
STEEP_HD double sqrt_(double x) { return __builtin_sqrt(x); }
STEEP_HD float abs_(float x) { return __builtin_fabsf(x); }
STEEP_HD double abs_(double x) { return __builtin_fabs(x); }
// Of a NaN and a number, these give b.
template <class T>
STEEP_HD T max_(T a, T b) {
  return a > b ? a : b;
}
template <class T>
STEEP_HD T min_(T a, T b) {
  return a < b ? a : b;
}
template <class T>
STEEP_HD T sign_(T x) {
  return T(x > T(0)) - T(x < T(0));
}

// max(x, 0); keeps NaN.
STEEP_HD float relu_(float x) { return x < 0.0f ? 0.0f : x; }
STEEP_HD double relu_(double x) { return x < 0.0 ? 0.0 : x; }

// a / b for b >= 0, and a itself where b is 0. A root of squares is 0 only where the step above it
// is 0 as well, or so small that its square vanished: such weights stay put instead of turning NaN.
template <class T>
STEEP_HD T divide(T a, T b) {
  return a / (b == T(0) ? T(1) : b);
}

// e^r = 1 + r + r^2 P(r) on |r| <= ln(2)/2: returns r + r^2 P(r), relative error 1.3e-8 (minimax).
STEEP_HD float exp_minus_one_core(float r) {
  float p = fma_(1.38825038e-3f, r, 8.36658105e-3f);
  p = fma_(p, r, 4.16672006e-2f);
  p = fma_(p, r, 1.66665435e-1f);
  p = fma_(p, r, 4.99999970e-1f);
  return fma_(p, r * r, r);
}

// x = n ln(2) + r. n is rounded by adding 1.5*2^23; ln(2) in two parts, the first of few bits.
STEEP_HD float split_exponent(float x, int32_t& n) {
  const float magic = 12582912.0f;
  const float shifted = fma_(x, 1.44269504f, magic);
  n = int32_t(bits_(shifted) - bits_(magic));
  const float whole = shifted - magic;
  return fma_(whole, 2.12194440e-4f, fma_(whole, -0.693359375f, x));
}

// 2^n for n in [-126, 127]
STEEP_HD float power_of_two(int32_t n) { return float_((n + 127) << 23); }

// e^(x + tail), |tail| < 0.2
STEEP_HD float exp_with_tail(float x, float tail) {
  x = x > 89.0f ? 89.0f : x;  // written so that NaN passes
  x = x < -105.0f ? -105.0f : x;
  int32_t n;
  const float r = split_exponent(x, n) + tail;
  const float e = 1.0f + exp_minus_one_core(r);
  const int32_t half = n >> 1;  // two factors: results down to the smallest denormal
  return e * power_of_two(half) * power_of_two(n - half);
}

STEEP_HD float exp_(float x) { return exp_with_tail(x, 0.0f); }
STEEP_HD double exp_(double x) { return std::exp(x); }

// e^x - 1 for x < 88
STEEP_HD float expm1_(float x) {
  x = x < -18.0f ? -18.0f : x;
  int32_t n;
  const float core = exp_minus_one_core(split_exponent(x, n));
  const float scale = power_of_two(n);
  return fma_(core, scale, scale - 1.0f);
}
STEEP_HD double expm1_(double x) { return std::expm1(x); }

// tanh|x| = E / (E + 2) with E = e^(2|x|) - 1; beyond 9.02 it rounds to 1.
STEEP_HD float tanh_(float x) {
  float y = 2.0f * abs_(x);
  y = y > 18.1f ? 18.1f : y;
  int32_t n;
  const float core = exp_minus_one_core(split_exponent(y, n));
  const float scale = power_of_two(n);
  const float e = fma_(core, scale, scale - 1.0f);
  return __builtin_copysignf(e / (e + 2.0f), x);
}
STEEP_HD double tanh_(double x) { return std::tanh(x); }

// log(1+f) on [sqrt(1/2)-1, sqrt(2)-1]: f - f^2/2 + f^3 Q(f), relative error 7.5e-10 (minimax).
STEEP_HD float log_core(float f, float exponent) {
  float q = fma_(6.74659163e-2f, f, -1.16756387e-1f);
  q = fma_(q, f, 1.18881777e-1f);
  q = fma_(q, f, -1.24055922e-1f);
  q = fma_(q, f, 1.42195508e-1f);
  q = fma_(q, f, -1.66679963e-1f);
  q = fma_(q, f, 2.00021192e-1f);
  q = fma_(q, f, -2.50000089e-1f);
  q = fma_(q, f, 3.33333135e-1f);
  const float square = f * f;
  float low = fma_(q, square * f, exponent * -2.12194440e-4f);
  low = fma_(-0.5f, square, low);
  return fma_(exponent, 0.693359375f, f + low);
}

STEEP_HD float log_(float x) {
  const bool tiny = x < 1.17549435e-38f;
  const float y = tiny ? x * 8388608.0f : x;
  // Exponent counted from sqrt(1/2), so that the mantissa lies in [sqrt(1/2), sqrt(2)).
  const int32_t shifted = int32_t(bits_(y)) - 0x3f3504f3;
  const int32_t n = shifted >> 23;
  const float f = float_(int32_t(bits_(y)) - (n << 23)) - 1.0f;
  float result = log_core(f, float(n) - (tiny ? 23.0f : 0.0f));
  result = x < __builtin_inff() ? result : x;  // inf, NaN
  result = x == 0.0f ? -__builtin_inff() : result;
  return x < 0.0f ? __builtin_nanf("") : result;
}
STEEP_HD double log_(double x) { return std::log(x); }

// log(1 + x) for x in [0, 1]
STEEP_HD float log1p_unit(float x) {
  const bool upper = x > 0.41421356f;
  return log_core(upper ? fma_(0.5f, x, -0.5f) : x, upper ? 1.0f : 0.0f);
}
STEEP_HD double log1p_unit(double x) { return std::log1p(x); }

// log(1 + x) for x >= 0: what rounding 1 + x lost comes back as the first term of its series.
STEEP_HD float log1p_(float x) {
  const float y = 1.0f + x;
  return log_(y) + (x - (y - 1.0f)) / y;
}
STEEP_HD double log1p_(double x) { return std::log1p(x); }

// 1 / (1 + e^-x), from e^-|x| alone: no overflow, and full precision in both tails.
template <class T>
STEEP_HD T logistic_(T x) {
  const T e = exp_(-abs_(x));
  return (x < T(0) ? e : T(1)) / (T(1) + e);
}

// log(1 + e^x)
template <class T>
STEEP_HD T softplus_(T x) {
  return (x < T(0) ? T(0) : x) + log1p_unit(exp_(-abs_(x)));
}

// The normal distribution: cdf(x) = erfc(-x/sqrt(2))/2 and density e^(-x^2/2)/sqrt(2 pi).
template <class T>
struct Normal {
  T cdf, density;
};

// cdf(x) = 1/2 + x Q(x^2) on |x| < 0.8, relative error below 5e-10
STEEP_HD float normal_center(float x) {
  const float s = x * x;
  float q = fma_(-7.46290380e-6f, s, 1.12952199e-4f);
  q = fma_(q, s, -1.18578505e-3f);
  q = fma_(q, s, 9.97307803e-3f);
  q = fma_(q, s, -6.64903149e-2f);
  q = fma_(q, s, 3.98942292e-1f);
  return fma_(q, x, 0.5f);
}

// cdf(-a) = e^(-a^2/2) t R(t), t = 1/(1 + a/4), R of relative error 8.6e-9 on [0, 14.5]. a^2 is
// split in two, or its rounding would cost 80 ulp. Below x = -13 the density is denormal or 0.
STEEP_HD Normal<float> normal_(float x) {
  const float a = abs_(x) > 14.5f ? 14.5f : abs_(x);
  const float high = float_(int32_t(bits_(a) & 0xfffff000u));
  const float e = exp_with_tail(-0.5f * high * high, -0.5f * (a - high) * (a + high));
  const float t = 1.0f / fma_(0.25f, a, 1.0f);
  float p = fma_(1.68928728e-2f, t, -6.45397007e-2f);
  p = fma_(p, t, 5.58855012e-2f);
  p = fma_(p, t, 2.26028264e-2f);
  p = fma_(p, t, 1.77414604e-2f);
  p = fma_(p, t, 8.38475898e-2f);
  p = fma_(p, t, 7.30140656e-2f);
  p = fma_(p, t, 9.52875838e-2f);
  p = fma_(p, t, 9.95214880e-2f);
  p = fma_(p, t, 9.97463316e-2f);
  const float below = p * t * e;
  const float tail = x < 0.0f ? below : 1.0f - below;
  return {a < 0.8f ? normal_center(x) : tail, 0.398942280f * e};
}
STEEP_HD Normal<double> normal_(double x) {
  return {0.5 * std::erfc(-0.70710678118654752440 * x),
          0.39894228040143267794 * std::exp(-0.5 * x * x)};
}

}  // namespace steep::STEEP_ISA
