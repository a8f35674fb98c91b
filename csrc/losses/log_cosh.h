// Log-cosh: log(cosh(e)), e = z - t, gradient tanh(e). Near e^2/2 at 0, abs(e) - log 2 far out.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::losses {

struct LogCosh {
  static constexpr const char* kName = "log_cosh";
  static constexpr bool kClassification = false;
  static constexpr bool kPerColumn = true;

  // With s = abs(e) and q = e^-s - 1: log(1 + q^2/(2 + 2q)), cosh(s) - 1 without cancelling; from
  // s = 1 on, where that would overflow in the end, s - log 2 + log(1 + e^-2s).
  template <class T>
  STEEP_HD static T value(T z, T t, T) {
    const T s = abs_(z - t), q = expm1_(-s), power = T(1) + q;
    const bool near = s < T(1);
    const T rest = log1p_unit(near ? q * q / (power + power) : power * power);
    return near ? rest : s - T(0.69314718055994530942) + rest;
  }
  template <class T>
  STEEP_HD static T grad(T z, T t, T) {
    return tanh_(z - t);
  }
};

}  // namespace steep::STEEP_ISA::losses
