// Newton's method with the system H p = -g solved by conjugate gradients, as far as it is worth it and until a
// direction of negative curvature shows (Dembo & Steihaug 1983; Nocedal & Wright 2006, algorithm 7.1).
#pragma once
#include <algorithm>
#include <cmath>

#include "minimize/search.h"
#include "minimize/vectors.h"

namespace steep::minimize {

template <class T> class NewtonCG {  // keeps nothing from one iteration to the next
 public:
  explicit NewtonCG(const std::vector<T*>&) {}

  void forget() {}

  End iterate(Function& function, Point& at, const Numbers& numbers, long) {
    if (largest(at.g) <= numbers.tol) return End::kSettled;
    if (!solve(function, at.g)) return End::kLeft;
    double step = numbers.lr;
    bool found = search(function, at, p_, numbers, step, to_);
    if (!found && !function.left()) {
      p_ = at.g;
      scale(-1, p_);
      step = numbers.lr / length(p_);
      found = search(function, at, p_, numbers, step, to_);
    }
    if (function.left()) return End::kLeft;
    return found ? arrive(at, to_, numbers) : End::kSettled;
  }

 private:
  // p_ with |H p + g| <= min(1/2, sqrt|g|)*|g|, or the best before negative curvature; false where left.
  bool solve(Function& function, const Vector& g) {
    const double size = length(g), enough = std::min(0.5, std::sqrt(size)) * size;
    const std::size_t most = 2 * function.places().size() + 10;
    p_.assign(g.size(), 0.0);
    r_ = g;
    d_ = g;
    scale(-1, d_);
    double rr = size * size;
    for (std::size_t i = 0; i < most && std::sqrt(rr) > enough; ++i) {
      function.multiply(d_, product_);
      if (function.left()) return false;
      const double curvature = dot(d_, product_);
      if (!(curvature > 0)) {
        if (i == 0) p_ = d_;
        return true;
      }
      const double alpha = rr / curvature;
      add(alpha, d_, p_);
      add(alpha, product_, r_);
      const double now = dot(r_, r_), beta = now / rr;
      rr = now;
      for (std::size_t j = 0; j < d_.size(); ++j) d_[j] = beta * d_[j] - r_[j];
    }
    return true;
  }

  Vector p_, r_, d_, product_;
  Point to_;
};

}  // namespace steep::minimize
