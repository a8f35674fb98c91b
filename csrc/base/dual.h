// Dual numbers: a value and its derivative along one direction. Kernels that compute in them compute
// derivatives of whatever they compute (forward mode). No formula of an activation or a loss lives here.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA {

// Comparisons that order look at the value alone, so that a number goes the way its value goes; equal is
// what is equal in both, so that "the element that is the largest" finds that very element.
struct Dual {
  double v, d;

  Dual() = default;
  STEEP_HD constexpr Dual(double value, double derivative = 0) : v(value), d(derivative) {}

  STEEP_HD friend Dual operator+(Dual a, Dual b) { return {a.v + b.v, a.d + b.d}; }
  STEEP_HD friend Dual operator-(Dual a, Dual b) { return {a.v - b.v, a.d - b.d}; }
  STEEP_HD friend Dual operator*(Dual a, Dual b) { return {a.v * b.v, a.v * b.d + a.d * b.v}; }
  STEEP_HD friend Dual operator/(Dual a, Dual b) {
    const double q = a.v / b.v;
    return {q, (a.d - q * b.d) / b.v};
  }
  STEEP_HD friend Dual operator-(Dual a) { return {-a.v, -a.d}; }
  STEEP_HD Dual& operator+=(Dual b) { return *this = *this + b; }
  STEEP_HD Dual& operator-=(Dual b) { return *this = *this - b; }
  STEEP_HD Dual& operator*=(Dual b) { return *this = *this * b; }
  STEEP_HD Dual& operator/=(Dual b) { return *this = *this / b; }

  STEEP_HD friend bool operator<(Dual a, Dual b) { return a.v < b.v; }
  STEEP_HD friend bool operator>(Dual a, Dual b) { return a.v > b.v; }
  STEEP_HD friend bool operator<=(Dual a, Dual b) { return a.v <= b.v; }
  STEEP_HD friend bool operator>=(Dual a, Dual b) { return a.v >= b.v; }
  STEEP_HD friend bool operator==(Dual a, Dual b) { return a.v == b.v && a.d == b.d; }
};

template <>
struct BitsOf<Dual> {
  using type = unsigned __int128;
};

template <class T> constexpr bool kDual = __is_same(T, Dual);

// What sums over a batch are kept in.
template <class T>
struct WideOf {
  using type = double;
};
template <>
struct WideOf<Dual> {
  using type = Dual;
};
template <class T>
using Wide = typename WideOf<T>::type;

// A number without its derivative.
STEEP_HD double plain(double x) { return x; }
STEEP_HD double plain(Dual x) { return x.v; }

STEEP_HD Dual fma_(Dual a, Dual b, Dual c) {
  return {fma_(a.v, b.v, c.v), fma_(a.v, b.d, fma_(a.d, b.v, c.d))};
}
STEEP_HD Dual sqrt_(Dual x) {
  const double root = sqrt_(x.v);
  return {root, x.d == 0 ? 0 : x.d / (root + root)};
}
// At 0 the way of x >= 0, which formulas that ask x < 0 take, too.
STEEP_HD Dual abs_(Dual x) { return {abs_(x.v), x.v < 0 ? -x.d : x.d}; }
// At 0 the derivative is 0, as ReLU has it.
STEEP_HD Dual relu_(Dual x) { return {relu_(x.v), x.v > 0 ? x.d : 0}; }
STEEP_HD Dual exp_(Dual x) {
  const double e = exp_(x.v);
  return {e, e * x.d};
}
STEEP_HD Dual exp_down(Dual x) { return exp_(x); }
STEEP_HD Dual expm1_(Dual x) { return {expm1_(x.v), exp_(x.v) * x.d}; }
STEEP_HD Dual tanh_(Dual x) {
  const double t = tanh_(x.v);
  return {t, (1 - t) * (1 + t) * x.d};
}
STEEP_HD Dual sin_(Dual x) { return {sin_(x.v), cos_(x.v) * x.d}; }
STEEP_HD Dual cos_(Dual x) { return {cos_(x.v), -sin_(x.v) * x.d}; }
STEEP_HD Dual log_(Dual x) { return {log_(x.v), x.d / x.v}; }
STEEP_HD Dual log1p_unit(Dual x) { return {log1p_unit(x.v), x.d / (1 + x.v)}; }
STEEP_HD Dual log1p_(Dual x) { return {log1p_(x.v), x.d / (1 + x.v)}; }
STEEP_HD Normal<Dual> normal_(Dual x) {
  const Normal<double> n = normal_(x.v);
  return {{n.cdf, n.density * x.d}, {n.density, -x.v * n.density * x.d}};
}

}  // namespace steep::STEEP_ISA
