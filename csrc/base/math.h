// Scalar mathematics of the formulas: branch-free, so that a compiler can vectorise every loop over
// it; of double the normal distribution alone is <cmath>. No formula of a rule, an activation or a loss
// lives here.
//
// Largest errors found of the float functions, every 61st float of the whole range, in units in the
// last place: exp_ 1.1, expm1_ 1.1, log_ 0.9, log1p_unit 1.4, softplus_ 1.7, density 2.1 (above
// -12.5), logistic_ 2.3, tanh_ 2.6, cdf 6.0. Denormal results count in units of the smallest float.
// Of the double ones, nine million numbers of each: log_ 0.9, exp_ 1.0, log1p_unit 1.4, softplus_ 1.7,
// expm1_ 2.1, logistic_ 2.4, tanh_ 2.6.
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
STEEP_HD double double_(int64_t bits) { return __builtin_bit_cast(double, bits); }

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

// e^r = 1 + r + r^2 P(r) on |r| <= ln(2)/2: returns r + r^2 P(r), relative error 1.3e-8, of double
// 2.8e-18 (minimax).
STEEP_HD float exp_minus_one_core(float r) {
  float p = fma_(1.38825038e-3f, r, 8.36658105e-3f);
  p = fma_(p, r, 4.16672006e-2f);
  p = fma_(p, r, 1.66665435e-1f);
  p = fma_(p, r, 4.99999970e-1f);
  return fma_(p, r * r, r);
}
STEEP_HD double exp_minus_one_core(double r) {
  double p = fma_(1.768769119018657e-09, r, 2.5105236375078356e-08);
  p = fma_(p, r, 2.7567935760643254e-07);
  p = fma_(p, r, 2.755725536056358e-06);
  p = fma_(p, r, 2.4801574517656775e-05);
  p = fma_(p, r, 1.9841269874844905e-04);
  p = fma_(p, r, 1.388888889561318e-03);
  p = fma_(p, r, 8.33333333332613e-03);
  p = fma_(p, r, 4.1666666666652245e-02);
  p = fma_(p, r, 1.666666666666667e-01);
  p = fma_(p, r, 0.5000000000000001);
  return fma_(p, r * r, r);
}

// x = n ln(2) + r. n is rounded by adding 1.5*2^23, of double 1.5*2^52; ln(2) in two parts, the first
// of few bits.
STEEP_HD float split_exponent(float x, int32_t& n) {
  const float magic = 12582912.0f;
  const float shifted = fma_(x, 1.44269504f, magic);
  n = int32_t(bits_(shifted) - bits_(magic));
  const float whole = shifted - magic;
  return fma_(whole, 2.12194440e-4f, fma_(whole, -0.693359375f, x));
}
STEEP_HD double split_exponent(double x, int64_t& n) {
  const double magic = 6755399441055744.0;
  const double shifted = fma_(x, 1.4426950408889634, magic);
  n = int64_t(bits_(shifted) - bits_(magic));
  const double whole = shifted - magic;
  return fma_(whole, -2.8235290563031577e-13, fma_(whole, -0.693147180559663, x));
}

// 2^n for normal results. What comes of NaN is any number, hence unsigned sums.
STEEP_HD float power_of_two(int32_t n) { return float_(int32_t((uint32_t(n) + 127) << 23)); }
STEEP_HD double power_of_two(int64_t n) { return double_(int64_t((uint64_t(n) + 1023) << 52)); }

// n/2 downward. Of 64 bits not every instruction set shifts signed numbers.
STEEP_HD int32_t half_of(int32_t n) { return n >> 1; }
STEEP_HD int64_t half_of(int64_t n) { return int64_t((uint64_t(n) + 4096) >> 1) - 2048; }

// Beyond which x e^x is infinite, or 0.
template <class T>
struct Beyond;
template <>
struct Beyond<float> {
  using Int = int32_t;
  static constexpr float top = 89.0f, bottom = -105.0f;
};
template <>
struct Beyond<double> {
  using Int = int64_t;
  static constexpr double top = 710.0, bottom = -746.0;
};

// 2^n e^r, in two factors: results down to the smallest denormal.
template <class T>
STEEP_HD T raised(T r, typename Beyond<T>::Int n) {
  using Bits = typename BitsOf<T>::type;
  const T e = T(1) + exp_minus_one_core(r);
  const auto half = half_of(n);
  return e * power_of_two(half) * power_of_two(typename Beyond<T>::Int(Bits(n) - Bits(half)));
}

// Written so that NaN passes.
template <class T>
STEEP_HD T above_bottom(T x) {
  return x < Beyond<T>::bottom ? Beyond<T>::bottom : x;
}
template <class T>
STEEP_HD T below_top(T x) {
  return x > Beyond<T>::top ? Beyond<T>::top : x;
}

// e^(x + tail), |tail| < 0.2
template <class T>
STEEP_HD T exp_with_tail(T x, T tail) {
  typename Beyond<T>::Int n;
  const T r = split_exponent(above_bottom(below_top(x)), n);
  return raised(r + tail, n);
}
template <class T>
STEEP_HD T exp_of(T x) {
  typename Beyond<T>::Int n;
  const T r = split_exponent(above_bottom(below_top(x)), n);
  return raised(r, n);
}
// exp_(x) for x <= 0, or NaN: two limits are several compares, one is a maximum.
template <class T>
STEEP_HD T exp_of_negative(T x) {
  typename Beyond<T>::Int n;
  const T r = split_exponent(above_bottom(x), n);
  return raised(r, n);
}

STEEP_HD float exp_(float x) { return exp_of(x); }
STEEP_HD double exp_(double x) { return exp_of(x); }
STEEP_HD float exp_down(float x) { return exp_of_negative(x); }
STEEP_HD double exp_down(double x) { return exp_of_negative(x); }

// e^x - 1 where e^x is a normal number
template <class T>
STEEP_HD T scaled_minus_one(T x) {
  typename Beyond<T>::Int n;
  const T core = exp_minus_one_core(split_exponent(x, n));
  const T scale = power_of_two(n);
  return fma_(core, scale, scale - T(1));
}

// e^x - 1 for x < 88, of double for x < 709
STEEP_HD float expm1_(float x) { return scaled_minus_one(x < -18.0f ? -18.0f : x); }
STEEP_HD double expm1_(double x) { return scaled_minus_one(x < -38.0 ? -38.0 : x); }

// tanh|x| = E / (E + 2) with E = e^(2|x|) - 1; beyond 9.02, of double 19.1, it rounds to 1.
STEEP_HD float tanh_(float x) {
  const float y = 2.0f * abs_(x), e = scaled_minus_one(y > 18.1f ? 18.1f : y);
  return __builtin_copysignf(e / (e + 2.0f), x);
}
STEEP_HD double tanh_(double x) {
  const double y = 2.0 * abs_(x), e = scaled_minus_one(y > 38.2 ? 38.2 : y);
  return __builtin_copysign(e / (e + 2.0), x);
}

// x = n pi/2 + r, |r| <= pi/4, in double also for float: pi/2 in three parts, the first two of 33 bits. From
// |x| = 10^6 on r is that of a number within a rounding of x, from 2^40 on that of 0; NaN of infinity.
STEEP_HD double split_quarters(double x, int32_t& n) {
  const double magic = 6755399441055744.0;
  const double near = abs_(x) < 1099511627776.0 ? x : x - x;
  const double shifted = fma_(near, 0.6366197723675814, magic);
  n = int32_t(uint32_t(bits_(shifted)));
  const double whole = shifted - magic;
  const double high = fma_(whole, -6.077100506303966e-11, fma_(whole, -1.5707963267341256, near));
  return fma_(whole, -2.0222662487959506e-21, high);
}

// sin(r) and cos(r) on |r| <= pi/4: r + r^3 P(r^2), relative error 3.6e-9, of double 3.6e-18, and
// 1 - r^2/2 + r^4 Q(r^2), error 1e-10, of double 6e-20 (minimax).
STEEP_HD float sine_core(float r) {
  const float s = r * r;
  float p = fma_(-1.95172666e-4f, s, 8.33217791e-3f);
  p = fma_(p, s, -1.66666549e-1f);
  return fma_(p, s * r, r);
}
STEEP_HD double sine_core(double r) {
  const double s = r * r;
  double p = fma_(1.5896775943724178e-10, s, -2.5050757725568733e-08);
  p = fma_(p, s, 2.7557313689055909e-06);
  p = fma_(p, s, -1.9841269829798012e-04);
  p = fma_(p, s, 8.3333333333223975e-03);
  p = fma_(p, s, -0.16666666666666632);
  return fma_(p, s * r, r);
}
STEEP_HD float cosine_core(float r) {
  const float s = r * r;
  float q = fma_(2.44384152e-5f, s, -1.38873672e-3f);
  q = fma_(q, s, 4.16666469e-2f);
  return fma_(q, s * s, fma_(-0.5f, s, 1.0f));
}
STEEP_HD double cosine_core(double r) {
  const double s = r * r;
  double q = fma_(-1.1359787371502599e-11, s, 2.0875726750173924e-09);
  q = fma_(q, s, -2.7557314385638386e-07);
  q = fma_(q, s, 2.4801587289634806e-05);
  q = fma_(q, s, -1.3888888888874454e-03);
  q = fma_(q, s, 4.1666666666666602e-02);
  const double half = 0.5 * s, w = 1.0 - half;
  return w + fma_(q, s * s, (1.0 - w) - half);
}

// sin(x + turn pi/2)
template <class T>
STEEP_HD T turned_sine(T x, int32_t turn) {
  int32_t n;
  const T r = T(split_quarters(double(x), n));
  n += turn;
  const T value = (n & 1) != 0 ? cosine_core(r) : sine_core(r);
  return (n & 2) != 0 ? -value : value;
}
STEEP_HD float sin_(float x) { return turned_sine(x, 0); }
STEEP_HD double sin_(double x) { return turned_sine(x, 0); }
STEEP_HD float cos_(float x) { return turned_sine(x, 1); }
STEEP_HD double cos_(double x) { return turned_sine(x, 1); }

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

// The same by t = f/(2 + f): log(1+f) = 2 atanh(t) = f - f^2/2 + t (f^2/2 + t^2 R(t^2)), of relative
// error 1.3e-18 (minimax).
STEEP_HD double log_core(double f, double exponent) {
  const double t = f / (2.0 + f), square = t * t;
  double r = fma_(0.14797506426622872, square, 0.15313903362971426);
  r = fma_(r, square, 0.1818356973585126);
  r = fma_(r, square, 0.22222198476047694);
  r = fma_(r, square, 0.2857142874326227);
  r = fma_(r, square, 0.39999999999411096);
  r = fma_(r, square, 0.6666666666666735);
  const double half = 0.5 * f * f;
  const double low = fma_(t, fma_(r, square, half), exponent * 2.8235290563031577e-13);
  return fma_(exponent, 0.693147180559663, f - (half - low));
}

// x = 2^exponent (1 + f), the exponent counted from sqrt(1/2), so that 1 + f lies in [sqrt(1/2),
// sqrt(2)); x is normal.
STEEP_HD float split_mantissa(float x, float& exponent) {
  const int32_t n = (int32_t(bits_(x)) - 0x3f3504f3) >> 23;
  exponent = float(n);
  return float_(int32_t(bits_(x)) - (n << 23)) - 1.0f;
}
// An integer below 2^52 becomes a double among the bits of 2^52.
STEEP_HD double split_mantissa(double x, double& exponent) {
  const uint64_t bias = 1024, n = (bits_(x) + (bias << 52) - 0x3fe6a09e667f3bcd) >> 52;
  exponent = double_(int64_t(n | 0x4330000000000000)) - (4503599627370496.0 + double(bias));
  return double_(int64_t(bits_(x) - ((n - bias) << 52))) - 1.0;
}

template <class T>
STEEP_HD T log_of(T x, T smallest, T raise, T bits) {
  const bool tiny = x < smallest;
  T exponent;
  const T f = split_mantissa(tiny ? x * raise : x, exponent);
  T result = log_core(f, exponent - (tiny ? bits : T(0)));
  const T infinity = T(__builtin_huge_val());
  result = x < infinity ? result : x;  // inf, NaN
  result = x == T(0) ? -infinity : result;
  return x < T(0) ? T(__builtin_nan("")) : result;
}
STEEP_HD float log_(float x) { return log_of(x, 1.17549435e-38f, 8388608.0f, 23.0f); }
STEEP_HD double log_(double x) {
  return log_of(x, 2.2250738585072014e-308, 4503599627370496.0, 52.0);
}

// log(1 + x) for x in [0, 1]
template <class T>
STEEP_HD T log1p_of_unit(T x) {
  const bool upper = x > T(0.41421356f);
  return log_core(upper ? fma_(T(0.5), x, T(-0.5)) : x, upper ? T(1) : T(0));
}
STEEP_HD float log1p_unit(float x) { return log1p_of_unit(x); }
STEEP_HD double log1p_unit(double x) { return log1p_of_unit(x); }

// log(1 + x) for x >= 0: what rounding 1 + x lost comes back as the first term of its series.
template <class T>
STEEP_HD T log1p_of(T x) {
  const T y = T(1) + x;
  return log_(y) + (x - (y - T(1))) / y;
}
STEEP_HD float log1p_(float x) { return log1p_of(x); }
STEEP_HD double log1p_(double x) { return log1p_of(x); }

// 1 / (1 + e^-x), from e^-|x| alone: no overflow, and full precision in both tails.
template <class T>
STEEP_HD T logistic_(T x) {
  const T e = exp_down(-abs_(x));
  return (x < T(0) ? e : T(1)) / (T(1) + e);
}

// log(1 + e^x)
template <class T>
STEEP_HD T softplus_(T x) {
  return (x < T(0) ? T(0) : x) + log1p_unit(exp_down(-abs_(x)));
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
