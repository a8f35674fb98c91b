// LARS (You et al. 2017), d = g + decay*w: rate = lr*trust*|w| / (|g| + decay*|w| + eps), or over |d| as
// Optax has it, norms of the whole parameter; lr where |w| or |g| is 0.
//   v = mu*v + rate*d,  w = w - along*v - direct*rate*d; along = mu, direct = 1 with Nesterov momentum.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct LARS {
  static constexpr const char* kName = "lars";
  static constexpr std::array kSlots{"v"};
  static constexpr bool kLookAhead = false;
  static constexpr int kTerms = 2;  // w^2, and g^2 or d^2
  static constexpr bool kNeedsGradient = true;
  STEEP_KNOBS(lr, mu, along, direct, trust, eps, joint);

  template <class T>
  STEEP_HD static void measure(T w, T g, const Knobs<T>& k, T decay, double* terms) {
    const double d = double(fma_(k.joint * decay, w, g));
    terms[0] = double(w) * double(w);
    terms[1] = d * d;
  }
  template <class T>
  STEEP_HD static double factor(const double* terms, const Extent&, const Knobs<T>& k, T decay) {
    if (!(terms[0] > 0 && terms[1] > 0)) return double(k.lr);
    const double w = sqrt_(terms[0]), apart = abs_(double((T(1) - k.joint) * decay));
    return double(k.lr) * double(k.trust) * w / (sqrt_(terms[1]) + apart * w + double(k.eps));
  }
  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k, T decay, T rate) {
    T& v = s[0];
    const T d = rate * fma_(decay, w, g);
    v = fma_(k.mu, v, d);
    w = fma_(-k.along, v, fma_(-k.direct, d, w));
  }
};

}  // namespace steep::STEEP_ISA::rules
