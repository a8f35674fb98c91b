// FTRL-proximal (McMahan et al. 2013): n = r + g^2,  sigma = (n^power - r^power)/lr,  r = n,
//   z = z + g + shrinkage*w - sigma*w,  w = (clip(z, -l1, l1) - z) / (r^power/lr + l2).
// r is first_r before the first gradient, and w what it was.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

// The step, where powers(r, g^2, old, grown) finds r^power and n^power - r^power.
template <class T, class Knobs, class Powers>
STEEP_HD void ftrl_step(T& w, T g, T* s, const Knobs& k, Powers powers) {
  T &r = s[0], &z = s[1];
  const bool fresh = r == T(0), untouched = fresh && g == T(0);  // so is padding
  const T before = fresh ? k.first_r : r, square = g * g;
  T old, grown;
  powers(before, square, old, grown);
  const T sum = z + fma_(k.toward, g, fma_(k.shrinkage, w, -(grown * k.per_lr) * w));
  const T clipped = min_(max_(sum, -k.l1), k.l1);
  const T moved = divide(clipped - sum, fma_(old + grown, k.per_lr, k.l2)) + (g - g);
  w = untouched ? w : moved;
  z = untouched ? T(0) : sum;
  r = untouched ? T(0) : before + square;
}

struct FTRL {
  static constexpr const char* kName = "ftrl";
  static constexpr std::array kSlots{"r", "z"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(per_lr, power, l1, l2, shrinkage, first_r, toward);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    ftrl_step(w, g, s, k, [power = k.power](T r, T square, T& old, T& grown) {
      // Without the digits that are lost where g is small.
      const bool empty = r == T(0);
      old = empty ? T(0) : exp_(power * log_(empty ? T(1) : r));
      grown = empty ? (square == T(0) ? T(0) : exp_(power * log_(square)))
                    : old * expm1_(power * log1p_(square / r));
    });
  }
};

}  // namespace steep::STEEP_ISA::rules
