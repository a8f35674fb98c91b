// L-BFGS: d = -H g, H from the last m pairs (s, y) of steps and changes of the gradient, by two loops over
// them (Nocedal 1980; Liu & Nocedal 1989). Steps as scipy's L-BFGS-B takes them without bounds.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "minimize/search.h"
#include "minimize/vectors.h"

namespace steep::minimize {

// T is what the pairs are kept in: columns s0 .. s(m-1), y0 .. y(m-1) of n elements each, which are all of
// its state. The pair of iteration k lies in place k mod m; where s is 0 there is none.
template <class T> class Lbfgs {
 public:
  Lbfgs(std::vector<T*> columns, const Sweeps<T>& sweeps)
      : columns_(std::move(columns)), m_(columns_.size() / 2), sweeps_(sweeps), curvature_(m_),
        alpha_(m_) {}

  // The columns were changed by others.
  void forget() { known_ = false; }

  End iterate(Function& function, Point& at, const Numbers& numbers, long k) {
    if (largest(at.g) <= numbers.tol) return End::kSettled;
    to_.g.resize(at.g.size());
    const bool first = !direct(at.g, k);
    double step = first ? numbers.lr / length(d_) : numbers.lr;
    bool found = search(function, at, d_, numbers, step, to_);
    if (!found && !first && !function.left()) {  // its model of the function is worth nothing
      clear(at.g.size());
      direct(at.g, k);
      step = numbers.lr / length(d_);
      found = search(function, at, d_, numbers, step, to_);
    }
    if (function.left()) return End::kLeft;
    if (!found) return End::kSettled;
    keep(at, k);
    return arrive(at, to_, numbers);
  }

 private:
  T* s(long place) const { return columns_[static_cast<std::size_t>(place)]; }
  T* y(long place) const { return columns_[m_ + static_cast<std::size_t>(place)]; }

  void clear(std::size_t n) {
    for (T* column : columns_) std::fill_n(column, n, T(0));
    std::fill(curvature_.begin(), curvature_.end(), 0.0);
  }

  // d = -H g before iteration k; false where there is no pair, and d = -g.
  bool direct(const Vector& g, long k) {
    const std::size_t n = g.size();
    if (!known_) {
      for (std::size_t i = 0; i < m_; ++i) curvature_[i] = dot(columns_[i], columns_[m_ + i], n);
      known_ = true;
    }
    d_ = g;
    scale(-1, d_);
    const long m = static_cast<long>(m_), size = static_cast<long>(n);
    pairs_.clear();  // the last one first
    for (long back = 1; back <= std::min(m, k); ++back) {
      if (curvature_[(k - back) % m] > 0) pairs_.push_back((k - back) % m);
    }
    if (pairs_.empty()) return false;
    const std::size_t count = pairs_.size();
    double* const d = d_.data();
    const auto after = [&](std::size_t j, T* (Lbfgs::*column)(long) const) {
      return j < count ? (this->*column)(pairs_[j]) : nullptr;
    };
    double sum = sweeps_.dot(s(pairs_[0]), d, size);
    for (std::size_t j = 0; j < count; ++j) {
      const long i = pairs_[j];
      alpha_[i] = sum / curvature_[i];
      sum = sweeps_.add_dot(-alpha_[i], y(i), d, after(j + 1, &Lbfgs::s), size);
    }
    const long newest = pairs_[0], oldest = pairs_[count - 1];
    scale(curvature_[newest] / dot(y(newest), y(newest), n), d_);
    sum = sweeps_.dot(y(oldest), d, size);
    for (std::size_t j = count; j-- > 0;) {
      const long i = pairs_[j];
      const double step = alpha_[i] - sum / curvature_[i];
      sum = sweeps_.add_dot(step, s(i), d, after(j - 1, &Lbfgs::y), size);
    }
    if (dot(d_, g) < 0) return true;
    clear(n);
    d_ = g;
    scale(-1, d_);
    return false;
  }

  // The pair of a step that is done; none where it shows no curvature.
  void keep(const Point& from, long k) {
    const std::size_t n = from.x.size();
    const long i = k % static_cast<long>(m_);
    for (std::size_t j = 0; j < n; ++j) {
      s(i)[j] = static_cast<T>(to_.x[j] - from.x[j]);
      y(i)[j] = static_cast<T>(to_.g[j] - from.g[j]);
    }
    curvature_[i] = dot(s(i), y(i), n);
    const double least = std::numeric_limits<double>::epsilon() * -dot(from.g.data(), s(i), n);
    if (curvature_[i] > least) return;
    curvature_[i] = 0;
    std::fill_n(s(i), n, T(0));
    std::fill_n(y(i), n, T(0));
  }

  const std::vector<T*> columns_;
  const std::size_t m_;
  const Sweeps<T> sweeps_;
  bool known_ = false;
  std::vector<double> curvature_, alpha_;  // s.y of each pair
  std::vector<long> pairs_;                // places of those there are
  Vector d_;
  Point to_;
};

}  // namespace steep::minimize
