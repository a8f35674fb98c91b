// LAMB (You et al. 2020, algorithm 2): m, r as in Adam, direction
//   d = m_scale*m / (sqrt(r_scale*r + eps_in) + eps_out) + decay*w,
//   w = w - lr*|w|/|d|*d, norms of the whole parameter; without the ratio where one of them is 0.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct LAMB {
  static constexpr const char* kName = "lamb";
  static constexpr std::array kSlots{"m", "r"};
  static constexpr bool kLookAhead = false;
  static constexpr int kTerms = 2;  // w^2, d^2
  STEEP_KNOBS(lr, beta1, one_minus_beta1, beta2, one_minus_beta2, m_scale, r_scale, eps_in,
              eps_out);

  template <class T>
  STEEP_HD static T direction(T w, const T* s, const Knobs<T>& k, T decay) {
    const T root = sqrt_(fma_(k.r_scale, s[1], k.eps_in)) + k.eps_out;
    return fma_(decay, w, divide(k.m_scale * s[0], root));
  }
  template <class T>
  STEEP_HD static void measure(T w, T g, T* s, const Knobs<T>& k, T decay, double* terms) {
    T &m = s[0], &r = s[1];
    m = fma_(k.beta1, m, k.one_minus_beta1 * g);
    r = fma_(k.beta2, r, k.one_minus_beta2 * (g * g));
    const double d = double(direction(w, s, k, decay));
    terms[0] = double(w) * double(w);
    terms[1] = d * d;
  }
  template <class T>
  STEEP_HD static double factor(const double* terms, const Extent&, const Knobs<T>&, T) {
    return terms[0] > 0 && terms[1] > 0 ? sqrt_(terms[0]) / sqrt_(terms[1]) : 1;
  }
  template <class T>
  STEEP_HD static void step(T& w, T, T* s, const Knobs<T>& k, T decay, T factor) {
    w = fma_(-k.lr * factor, direction(w, s, k, decay), w);
  }
};

}  // namespace steep::STEEP_ISA::rules
