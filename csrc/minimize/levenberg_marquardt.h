// Levenberg's and Marquardt's method: w + lr*p, (G + mu I) p = -g with Gauss and Newton's G, mu by how well the model
// foretold the gain (Levenberg 1944; Marquardt 1963; mu as Nielsen 1999 moves it).
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "minimize/search.h"
#include "minimize/vectors.h"

namespace steep::minimize {

// T is what is kept: columns that hold mu and its growth at every place. 0 is none yet.
template <class T> class LevenbergMarquardt {
 public:
  explicit LevenbergMarquardt(std::vector<T*> columns)
      : damping_(columns[0]), growth_(columns[1]) {}

  void forget() {}

  End iterate(Function& function, Point& at, const Numbers& numbers, long) {
    constexpr int kMostTrials = 60;  // each doubles mu or more
    if (largest(at.g) <= numbers.tol) return End::kSettled;
    function.gauss_newton(matrix_);
    if (function.left()) return End::kLeft;
    const auto& places = function.places();
    T mu = damping_[places[0]], growth = growth_[places[0]];
    if (!(mu > 0)) {
      mu = static_cast<T>(numbers.damping * along(at.g, places));
      growth = T(2);
    }
    bool found = false;
    for (int trial = 0; trial < kMostTrials && !found; ++trial) {
      double foretold = 0;
      if (solve(at.g, places, static_cast<double>(mu))) {
        to_.x = at.x;
        double down = 0, square = 0;
        for (std::size_t i = 0; i < places.size(); ++i) {
          to_.x[places[i]] += numbers.lr * p_[i];
          down -= at.g[places[i]] * p_[i];
          square += p_[i] * p_[i];
        }
        const double bend = down - static_cast<double>(mu) * square;  // p.Gp
        foretold = numbers.lr * down - 0.5 * numbers.lr * numbers.lr * bend;
        function.evaluate(to_);
        if (function.left()) return End::kLeft;
        found = std::isfinite(to_.f) && std::isfinite(largest(to_.g)) && to_.f < at.f;
      }
      if (found) {
        const double t = 2 * (at.f - to_.f) / foretold - 1;
        mu = static_cast<T>(static_cast<double>(mu) * std::max(1.0 / 3.0, 1 - t * t * t));
        growth = T(2);
      } else {
        mu = std::max(mu * growth, std::numeric_limits<T>::min());
        growth *= T(2);
      }
      if (!std::isfinite(mu) || !std::isfinite(growth)) break;
    }
    if (!found) return End::kSettled;
    for (const std::size_t place : places) {
      damping_[place] = std::max(mu, std::numeric_limits<T>::min());
      growth_[place] = growth;
    }
    return arrive(at, to_, numbers);
  }

 private:
  // g.Gg / g.g
  double along(const Vector& g, const std::vector<std::size_t>& places) const {
    const std::size_t n = places.size();
    double curvature = 0, size = 0;
    for (std::size_t j = 0; j < n; ++j) {
      double row = 0;
      for (std::size_t i = 0; i < n; ++i) row += matrix_[j * n + i] * g[places[i]];
      curvature += row * g[places[j]];
      size += g[places[j]] * g[places[j]];
    }
    return std::max(curvature / size, 1e-12);
  }

  // p_ by Cholesky's factors of G + mu I; false where rounding leaves it not positive.
  bool solve(const Vector& g, const std::vector<std::size_t>& places, double mu) {
    const std::size_t n = places.size();
    factor_ = matrix_;
    for (std::size_t j = 0; j < n; ++j) {
      double* const row = &factor_[j * n];
      for (std::size_t k = 0; k <= j; ++k) {
        const double* const other = &factor_[k * n];
        const double sum = row[k] + (k == j ? mu : 0) - dot(row, other, k);
        if (k < j) {
          row[k] = sum / other[k];
        } else if (sum > 0) {
          row[j] = std::sqrt(sum);
        } else {
          return false;
        }
      }
    }
    p_.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      p_[i] = (-g[places[i]] - dot(&factor_[i * n], p_.data(), i)) / factor_[i * n + i];
    }
    for (std::size_t i = n; i-- > 0;) {
      double sum = p_[i];
      for (std::size_t k = i + 1; k < n; ++k) sum -= factor_[k * n + i] * p_[k];
      p_[i] = sum / factor_[i * n + i];
    }
    return true;
  }

  T *const damping_, *const growth_;
  Vector matrix_, factor_, p_;
  Point to_;
};

}  // namespace steep::minimize
