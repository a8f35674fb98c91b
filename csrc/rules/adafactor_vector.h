// Adafactor (Shazeer & Stern 2018) of a vector, which keeps all of its mean squares: v = beta2*v + (1-beta2)*g^2,
//   u = g/sqrt(max(v + eps_in, least)), and the step as in adafactor.h.
#pragma once
#include "rules/adafactor.h"

namespace steep::STEEP_ISA::rules {

struct AdafactorVector {
  static constexpr const char* kName = "adafactor_vector";
  static constexpr std::array kSlots{"v"};
  static constexpr bool kLookAhead = false;
  static constexpr int kTerms = 2;  // w^2, u^2
  static constexpr bool kNeedsGradient = true;
  STEEP_KNOBS(lr, beta2, one_minus_beta2, eps_in, least, eps2, scaled, clip);

  template <class T>
  STEEP_HD static void measure(T w, T g, T* s, const Knobs<T>& k, T, double* terms) {
    T& v = s[0];
    v = fma_(k.beta2, v, k.one_minus_beta2 * (g * g));
    const double u = double(Adafactor::direction(g, v + k.eps_in, k));
    terms[0] = double(w) * double(w);
    terms[1] = u * u;
  }
  template <class T>
  STEEP_HD static double factor(const double* terms, const Extent& of, const Knobs<T>& k, T decay) {
    return Adafactor::factor<T>(terms, of, k, decay);
  }
  template <class T>
  STEEP_HD static void step(T& w, T g, T* s, const Knobs<T>& k, T decay, T rate) {
    Adafactor::step(w, Adafactor::direction(g, s[0] + k.eps_in, k), s, k, decay, rate);
  }
};

}  // namespace steep::STEEP_ISA::rules
