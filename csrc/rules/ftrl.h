// FTRL-proximal (McMahan et al. 2013): n = r + g^2,  sigma = (n^power - r^power)/lr,  r = n,
//   z = z + g + shrinkage*w - sigma*w,  w = (clip(z, -l1, l1) - z) / (r^power/lr + l2).
// r is first_r before the first gradient, and w what it was.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct FTRL {
  static constexpr const char* kName = "ftrl";
  static constexpr std::array kSlots{"r", "z"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(lr, power, l1, l2, shrinkage, first_r, toward);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T &r = s[0], &z = s[1];
    const bool fresh = r == T(0), untouched = fresh && g == T(0);  // so is padding
    const T before = fresh ? k.first_r : r, square = g * g, after = before + square;
    // n^power - r^power without the digits that are lost where g is small.
    const bool empty = before == T(0);
    const T old = empty ? T(0) : exp_(k.power * log_(empty ? T(1) : before));
    const T grown = empty ? (square == T(0) ? T(0) : exp_(k.power * log_(square)))
                          : old * expm1_(k.power * log1p_(square / before));
    const T sum = z + fma_(k.toward, g, fma_(k.shrinkage, w, -(grown / k.lr) * w));
    const T clipped = min_(max_(sum, -k.l1), k.l1);
    const T moved = divide(clipped - sum, (old + grown) / k.lr + k.l2) + (g - g);
    w = untouched ? w : moved;
    z = untouched ? T(0) : sum;
    r = untouched ? T(0) : after;
  }
};

}  // namespace steep::STEEP_ISA::rules
