// Muon (Jordan et al. 2024): m = mu*m + take*g, u = along*m + direct*g; Newton-Schulz makes u orthogonal
// (cpu/newton_schulz.h: |u| + eps, and at least least_length; ns_steps of aX + b(XX^T)X + c(XX^T)^2X),
//   w = w - decay*w - lr*sqrt(max(least, by_flat*columns/rows, by_window*window, by_size*max(rows, columns)))*u.
#pragma once
#include "base/math.h"
#include "rules/knobs.h"

namespace steep::STEEP_ISA::rules {

struct Muon {
  static constexpr const char* kName = "muon";
  static constexpr std::array kSlots{"m"};
  static constexpr bool kLookAhead = false;
  static constexpr int kTerms = 1;  // u^2
  static constexpr bool kNeedsGradient = true;
  static constexpr bool kOrthogonal = true;
  STEEP_KNOBS(lr, mu, take, along, direct, least, by_flat, by_window, by_size, a, b, c, ns_steps,
              eps, least_length);

  // Leaves u in place of the gradient.
  template <class T>
  STEEP_HD static void measure(T, T& g, T* s, const Knobs<T>& k, T, double* terms) {
    T& m = s[0];
    m = fma_(k.mu, m, k.take * g);
    g = fma_(k.along, m, k.direct * g);
    terms[0] = double(g) * double(g);
  }
  template <class T>
  STEEP_HD static double factor(const double*, const Extent& of, const Knobs<T>& k, T) {
    const double ratio = max_(double(k.by_flat) * of.columns / of.rows, k.by_window * of.window);
    const double size = double(k.by_size) * max_(of.rows, of.columns);
    return double(k.lr) * sqrt_(max_(max_(double(k.least), ratio), size));
  }
  template <class T>
  STEEP_HD static void step(T& w, T u, T*, const Knobs<T>&, T decay, T rate) {
    w = fma_(-rate, u, fma_(-decay, w, w));
  }
};

}  // namespace steep::STEEP_ISA::rules
