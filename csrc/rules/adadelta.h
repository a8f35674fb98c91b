// AdaDelta (Zeiler 2012): r = rho*r + (1-rho)*g^2,  d = g * root(u) / root(r),
//   u = rho*u + (1-rho)*d^2,  w = w - lr*d,  where root(x) = sqrt(x + eps_in) + eps_out.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct AdaDelta {
  static constexpr const char* kName = "adadelta";
  static constexpr std::array kSlots{"r", "u"};
  static constexpr bool kLookAhead = false;
  STEEP_KNOBS(lr, rho, one_minus_rho, eps_in, eps_out);

  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k) {
    T &r = s[0], &u = s[1];
    r = fma_(k.rho, r, k.one_minus_rho * (g * g));
    const T above = sqrt_(u + k.eps_in) + k.eps_out, below = sqrt_(r + k.eps_in) + k.eps_out;
    const T d = divide(g * above, below);
    u = fma_(k.rho, u, k.one_minus_rho * (d * d));
    w = fma_(-k.lr, d, w);
  }
};

}  // namespace steep::STEEP_ISA::rules
