// Scalar formulas of ops on elements, for every device: powers, and who has a share in the larger of two.
#pragma once
#include <cmath>

#include "base/dual.h"

namespace steep::STEEP_ISA {

// a where b > d, half of it where they are equal; a NaN among them is passed on.
template <class T> STEEP_HD T share(T a, T b, T d) {
  return b > d ? a : b < d ? T(0) : b == b && d == d ? T(0.5) * a : a;
}

// x^n by products up to this n, as exact as they are; else in double, where the result of a float is right
// to its last digit.
constexpr double kMostFactors = 16;

template <class T> STEEP_HD T factors(T x, int n) {
  T power = n & 1 ? x : T(1);
  for (n >>= 1; n > 0; n >>= 1) {
    x = x * x;
    if (n & 1) power = power * x;
  }
  return power;
}
template <class T> STEEP_HD T whole_power(T x, int n) { return factors(x, n); }
STEEP_HD float whole_power(float x, int n) {
  return n < 3 ? factors(x, n) : float(factors(double(x), n));
}
STEEP_HD float any_power(float x, double exponent) { return float(std::pow(double(x), exponent)); }
STEEP_HD double any_power(double x, double exponent) { return std::pow(x, exponent); }
STEEP_HD Dual any_power(Dual x, double exponent) {
  const double slope = exponent == 0 ? 0 : exponent * std::pow(x.v, exponent - 1);
  return {std::pow(x.v, exponent), x.d == 0 ? 0 : slope * x.d};
}

}  // namespace steep::STEEP_ISA
