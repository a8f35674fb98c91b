// Adafactor (Shazeer & Stern 2018) of a matrix, whose mean squares are those of its rows and columns:
//   r = beta2*r + (1-beta2)*mean g^2 of a row, c that of a column,
//   v = (r + eps_in)(c + eps_in)/max(mean (r + eps_in), least_mean),  u = g/sqrt(max(v, least)),
//   w = w - decay*w - lr*max(eps2, RMS(w))/max(1, RMS(u)/clip)*u, without RMS(w) where not scaled.
// As eps_in at the squares: what it adds to a mean that starts with beta2 = 0 is eps_in at every step.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct Adafactor {
  static constexpr const char* kName = "adafactor";
  static constexpr std::array kSlots{"r", "c"};
  static constexpr bool kLookAhead = false;
  static constexpr int kTerms = 2;  // w^2, u^2
  static constexpr bool kNeedsGradient = true;
  static constexpr bool kFactored = true;
  STEEP_KNOBS(lr, beta2, one_minus_beta2, eps_in, least_mean, least, eps2, scaled, clip);

  template <class T, class K>
  STEEP_HD static T direction(T g, T v, const K& k) {
    return divide(g, sqrt_(v < k.least ? k.least : v));  // written so that NaN passes
  }
  // Where nothing moves the parameter may be of any size.
  template <class T, class K>
  STEEP_HD static double factor(const double* terms, const Extent& of, const K& k, T) {
    if (!(terms[1] > 0)) return double(k.lr);
    const double w = sqrt_(terms[0] / of.size), u = sqrt_(terms[1] / of.size);
    const double length = k.scaled != 0 ? max_(w, double(k.eps2)) : 1;
    return double(k.lr) * length / max_(u / double(k.clip), 1.0);
  }
  template <class T, class K>
  STEEP_HD static void step(T& w, T u, T*, const K&, T decay, T rate) {
    w = fma_(-rate, u, fma_(-decay, w, w));
  }
};

}  // namespace steep::STEEP_ISA::rules
