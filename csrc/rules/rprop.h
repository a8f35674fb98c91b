// Rprop (Riedmiller & Braun 1993), turn the sign of g*previous: eta = clip(eta*eta_plus, least, most)
// where turn > 0; where turn < 0, with eta_minus, and g = 0;
//   w = w - now*eta*sign(g) - late*(eta*sign(g) of the step before, 0 where turn < 0),
// previous = g. eta is lr before the first gradient.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct Rprop {
  static constexpr const char* kName = "rprop";
  static constexpr std::array kSlots{"eta", "previous"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(lr, eta_minus, eta_plus, least, most, now, late);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T &eta = s[0], &previous = s[1];
    const T sign = sign_(g), before = eta == T(0) ? k.lr : eta;
    const T turn = sign * sign_(previous);  // not g*previous, which may vanish
    const T changed =
        min_(max_(before * (turn > T(0) ? k.eta_plus : k.eta_minus), k.least), k.most);
    const T after = turn == T(0) ? before : changed, forward = turn < T(0) ? T(0) : T(1);
    w = fma_(-k.now * forward * sign, after, w);
    w = fma_(-k.late * forward * sign_(previous), before, w) + (g - g);  // the sign of NaN is 0
    eta = eta == T(0) && g == T(0) ? T(0) : after;                       // padding stays 0
    previous = turn < T(0) ? T(0) : g;
  }
};

}  // namespace steep::STEEP_ISA::rules
