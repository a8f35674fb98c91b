// Sums and maps over vectors of numbers; sums in a fixed order, eight side by side.
#pragma once
#include <cmath>
#include <cstddef>

#include "minimize/function.h"

namespace steep::minimize {

template <class A, class B> double dot(const A* a, const B* b, std::size_t n) {
  double part[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int k = 0; k < 8; ++k)
      part[k] += static_cast<double>(a[i + k]) * static_cast<double>(b[i + k]);
  }
  for (; i < n; ++i) part[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return ((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7]));
}
inline double dot(const Vector& a, const Vector& b) { return dot(a.data(), b.data(), a.size()); }
inline double length(const Vector& a) { return std::sqrt(dot(a, a)); }

// y += factor * x
template <class A> void add(double factor, const A* x, Vector& y) {
  for (std::size_t i = 0; i < y.size(); ++i) y[i] += factor * static_cast<double>(x[i]);
}
inline void add(double factor, const Vector& x, Vector& y) { add(factor, x.data(), y); }

inline void scale(double factor, Vector& x) {
  for (double& a : x) a *= factor;
}

inline double largest(const Vector& x) {  // of the magnitudes; NaN where one is
  double most = 0;
  for (const double a : x) most = std::abs(a) <= most ? most : std::abs(a);
  return most;
}

}  // namespace steep::minimize
