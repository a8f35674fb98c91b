// Sums and maps over vectors of numbers; sums in a fixed order, eight side by side.
#pragma once
#include <algorithm>
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

// The same of whole vectors and of a column of numbers T, by whoever knows the processor: a.b; and y += factor*x,
// after which next.y, or 0 without a next.
template <class T> struct Sweeps {
  double (*dot)(const T* a, const double* b, long n);
  double (*add_dot)(double factor, const T* x, double* y, const T* next, long n);
};

// By nobody in particular.
template <class T>
double add_dot(double factor, const T* x, double* y, const T* next, long n) {
  double part[8] = {};
  const auto step = [&](long i, double& sum) {
    y[i] += factor * static_cast<double>(x[i]);
    if (next != nullptr) sum += static_cast<double>(next[i]) * y[i];
  };
  long i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int k = 0; k < 8; ++k) step(i + k, part[k]);
  }
  for (; i < n; ++i) step(i, part[0]);
  return ((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7]));
}
template <class T> Sweeps<T> plain_sweeps() {
  return {
      [](const T* a, const double* b, long n) { return dot(a, b, static_cast<std::size_t>(n)); },
      add_dot<T>};
}

// y += factor * x
template <class A> void add(double factor, const A* x, Vector& y) {
  for (std::size_t i = 0; i < y.size(); ++i) y[i] += factor * static_cast<double>(x[i]);
}
inline void add(double factor, const Vector& x, Vector& y) { add(factor, x.data(), y); }

inline void scale(double factor, Vector& x) {
  for (double& a : x) a *= factor;
}

// Of the magnitudes; NaN where one is not finite, since 0 times that is NaN.
inline double largest(const Vector& x) {
  double most[8] = {}, zero[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= x.size(); i += 8) {
    for (int k = 0; k < 8; ++k) {
      const double a = std::abs(x[i + k]);
      most[k] = a > most[k] ? a : most[k];
      zero[k] += 0 * a;
    }
  }
  for (; i < x.size(); ++i) {
    most[0] = std::max(most[0], std::abs(x[i]));
    zero[0] += 0 * x[i];
  }
  for (int k = 1; k < 8; ++k) {
    most[0] = std::max(most[0], most[k]);
    zero[0] += zero[k];
  }
  return most[0] + zero[0];
}

}  // namespace steep::minimize
