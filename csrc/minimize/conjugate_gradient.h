// Nonlinear conjugate gradients: d = -g + beta*d_before, beta in one of four forms (Fletcher & Reeves 1964;
// Polak & Ribiere 1969, not negative; Hestenes & Stiefel 1952, not negative; Dai & Yuan 1999).
#pragma once
#include <algorithm>
#include <cmath>

#include "minimize/search.h"
#include "minimize/vectors.h"

namespace steep::minimize {

// T is what is kept: columns of the gradient, the direction and the step before, all of its state. Where the
// direction is 0 there is none.
template <class T> class ConjugateGradient {
 public:
  enum Form { kPolakRibiere, kFletcherReeves, kHestenesStiefel, kDaiYuan };

  explicit ConjugateGradient(std::vector<T*> columns)
      : gradient_(columns[0]), direction_(columns[1]), step_(columns[2]) {}

  void forget() {}

  End iterate(Function& function, Point& at, const Numbers& numbers, long) {
    if (largest(at.g) <= numbers.tol) return End::kSettled;
    double step = direct(at.g, static_cast<Form>(static_cast<int>(numbers.form)));
    const bool again = step > 0;
    step = again ? step * numbers.lr : numbers.lr / length(d_);
    bool found = search(function, at, d_, numbers, step, to_);
    if (!found && again && !function.left()) {
      steepest(at.g);
      step = numbers.lr / length(d_);
      found = search(function, at, d_, numbers, step, to_);
    }
    if (function.left()) return End::kLeft;
    if (!found) return End::kSettled;
    for (std::size_t i = 0; i < d_.size(); ++i) {
      gradient_[i] = static_cast<T>(at.g[i]);
      direction_[i] = static_cast<T>(d_[i]);
      step_[i] = static_cast<T>(to_.x[i] - at.x[i]);
    }
    return arrive(at, to_, numbers);
  }

 private:
  void steepest(const Vector& g) {
    d_ = g;
    scale(-1, d_);
  }

  // The direction, and the step along it that would gain to first order what the last one did (Nocedal &
  // Wright 2006, section 3.5); 0 where it starts anew along -g.
  double direct(const Vector& g, Form form) {
    const std::size_t n = g.size();
    steepest(g);
    const double known = dot(direction_, direction_, n);
    if (known == 0) return 0;
    const double gg = dot(g, g), before = dot(gradient_, gradient_, n);
    const double mixed = dot(g.data(), gradient_, n);
    const double old_slope = dot(gradient_, direction_, n);
    const double change = dot(g.data(), direction_, n) - old_slope;  // y.d
    double beta = 0;
    if (form == kPolakRibiere) beta = std::max(0.0, (gg - mixed) / before);
    if (form == kFletcherReeves) beta = gg / before;
    if (form == kHestenesStiefel) beta = std::max(0.0, (gg - mixed) / change);
    if (form == kDaiYuan) beta = gg / change;
    add(beta, direction_, d_);
    const double slope = dot(g, d_);
    const double step = std::sqrt(dot(step_, step_, n) / known) * old_slope / slope;
    if (slope < 0 && std::isfinite(step) && step > 0) return step;
    steepest(g);
    return 0;
  }

  T *const gradient_, *const direction_, *const step_;
  Vector d_;
  Point to_;
};

}  // namespace steep::minimize
