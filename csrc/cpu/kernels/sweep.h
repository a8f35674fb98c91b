// One update of a weight and its slots by a rule, for the loops over them; and how those find out whether all weights
// are finite. The formulas of the rules live in rules/.
#pragma once
#include <cstring>
#include <string_view>

#include "cpu/kernels/fill.h"
#include "rules/knobs.h"
#include "rules/look_ahead.h"

namespace steep::STEEP_ISA {

// NaN and infinity have every exponent bit set: their magnitude, read as an integer, plus one unit
// of the exponent reaches the top bit. The OR of a sweep's magnitudes so raised says whether all
// was finite, for three integer operations a weight, in any order.
template <class T>
using Bits = typename BitsOf<T>::type;

template <class T>
STEEP_HD Bits<T> raised(T x) {
  constexpr Bits<T> unit = (BitsOf<T>::kMagnitude ^ BitsOf<T>::kInfinity) + 1;
  return (bits_(x) & BitsOf<T>::kMagnitude) + unit;
}

template <class T>
STEEP_HD bool finite(Bits<T> raised_bits) {
  return raised_bits <= BitsOf<T>::kMagnitude;
}

// A rule whose step has the decay for an argument does with it what it says; of others the weight
// loses it before.
template <class T, class Rule>
STEEP_HD void decayed_step(T& weight, T g, T* s, const typename Rule::template Knobs<T>& knobs,
                           T decay) {
  if constexpr (requires { Rule::template step<T>(weight, g, s, knobs, decay); }) {
    Rule::template step<T>(weight, g, s, knobs, decay);
  } else {
    weight = fma_(-decay, weight, weight);
    Rule::template step<T>(weight, g, s, knobs);
  }
}

// Whether the first pass of a rule has moved its slots. The second one then writes none: what is written
// must come from memory and go back to it.
template <class T, class Rule>
constexpr bool moves_slots_first() {
  using Knobs = typename Rule::template Knobs<T>;
  if constexpr (rules::kSums<Rule> == 0) return false;
  return !requires(const Knobs& k, double* terms) {
    Rule::template measure<T>(T(), T(), k, T(), terms);
  };
}

// Copies of the arguments: what is stored might else be one of them.
template <class T, class Rule> struct Sweep {
  static constexpr size_t kCount = rules::kFactored<Rule> ? 0 : Rule::kSlots.size();
  static constexpr size_t kMoved = moves_slots_first<T, Rule>() ? 0 : kCount;
  static_assert(kCount <= kMaxSlots);
  using Knobs = typename Rule::template Knobs<T>;
  static_assert(sizeof(Knobs) == Rule::kKnobs.size() * sizeof(T));

  Knobs knobs;
  T* const w;
  const T* const g;
  T *const s0, *const s1, *const s2, *const s3;
  const T scale, decay, factor;

  STEEP_HD explicit Sweep(const UpdateArgs<T>& a)
      : w(a.w), g(a.g), s0(a.slots[0]), s1(a.slots[1]), s2(a.slots[2]), s3(a.slots[3]),
        scale(a.scale), decay(a.decay), factor(a.factor) {
    if constexpr (Rule::kLookAhead) static_assert(std::string_view(Rule::kSlots.back()) == "v");
    std::memcpy(&knobs, a.knobs, sizeof(knobs));
  }

  // Steps element i and returns its new weight.
  STEEP_HD T step(long i) const {
    T weight = w[i];
    T s[kMaxSlots];
    if constexpr (kCount > 0) s[0] = s0[i];
    if constexpr (kCount > 1) s[1] = s1[i];
    if constexpr (kCount > 2) s[2] = s2[i];
    if constexpr (kCount > 3) s[3] = s3[i];
    if constexpr (Rule::kLookAhead) {
      weight = rules::look_back_weight(weight, s[kCount - 1], knobs.look);
    }
    if constexpr (rules::kSums<Rule> > 0) {
      const T gradient = rules::kKeepsGradient<Rule> ? g[i] * scale : T(0);
      Rule::template step<T>(weight, gradient, s, knobs, decay, factor);
    } else {
      decayed_step<T, Rule>(weight, g[i] * scale, s, knobs, decay);
    }
    if constexpr (Rule::kLookAhead) {
      weight = rules::look_ahead_point(weight, s[kCount - 1], knobs.look_next);
    }
    w[i] = weight;
    if constexpr (kMoved > 0) s0[i] = s[0];
    if constexpr (kMoved > 1) s1[i] = s[1];
    if constexpr (kMoved > 2) s2[i] = s[2];
    if constexpr (kMoved > 3) s3[i] = s[3];
    return weight;
  }
};

}  // namespace steep::STEEP_ISA
