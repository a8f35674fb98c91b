// Mish (Misra 2019): f(x) = x*t, t = tanh(log(1 + e^x)), f' = t + x*(1 - t^2)*s, s the sigmoid.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct Mish {
  static constexpr const char* kName = "mish";
  static constexpr bool kReadsInput = true;
  static constexpr bool kReluLike = true;

  // t = over/under with under = over + gap: 1 - t^2 is made of the gap, it cancels nowhere.
  template <class T>
  struct Ratio {
    T e, over, gap, under;  // e = e^-|x|
  };

  // ((1 + e^x)^2 - 1) / ((1 + e^x)^2 + 1), divided by e^2x where x >= 0.
  template <class T>
  STEEP_HD static Ratio<T> ratio(T x) {
    const T e = exp_down(-abs_(x));
    const T over = x < T(0) ? e * (e + T(2)) : T(1) + T(2) * e;
    const T gap = x < T(0) ? T(2) : T(2) * e * e;
    return {e, over, gap, over + gap};
  }

  template <class T>
  STEEP_HD static T value(T x, T) {
    const Ratio<T> t = ratio(x);
    return x * (t.over / t.under);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T x, T) {
    const Ratio<T> t = ratio(x);
    const T s = (x < T(0) ? t.e : T(1)) / (T(1) + t.e);
    const T rest = t.gap * (t.over + t.under) / (t.under * t.under);  // 1 - t^2
    return dy * fma_(x * rest, s, t.over / t.under);
  }
};

}  // namespace steep::STEEP_ISA::activations
