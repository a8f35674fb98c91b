// What is minimised, as the methods here see it: a function of n numbers with a gradient. Networks, threads
// and formats are unknown here.
#pragma once
#include <cstddef>
#include <vector>

namespace steep::minimize {

using Vector = std::vector<double>;

// A point, and what the function is there.
struct Point {
  Vector x, g;
  double f = 0;
};

class Function {
 public:
  virtual ~Function() = default;
  // f and g at x; x may come back rounded to what the function can represent. Where f is not finite, g is
  // worth nothing.
  virtual void evaluate(Point& at) = 0;
  // product = H v at the last point that was evaluated.
  virtual void multiply(const Vector& v, Vector& product) = 0;
  // Gauss and Newton's matrix there, of the numbers that move, column by column.
  virtual void gauss_newton(Vector& matrix) = 0;
  // Of the numbers that move: others are 0 in every gradient.
  virtual const std::vector<std::size_t>& places() const = 0;
  // Somebody wants the call to end: what came back is worth nothing.
  virtual bool left() const = 0;
};

// Of one iteration. A point at which all |g| <= tol has settled, and one where an iteration gained no more
// than change*max(|f|, 1).
struct Numbers {
  double lr, tol, change;  // lr: the first step tried, of a method that knows a step's length
  double c1, c2;           // Wolfe's conditions
  double form = 0;         // of conjugate gradients, a place in its list
  double damping = 0;      // of Levenberg and Marquardt, the first, of the curvature along g
};

// How an iteration ended: moved; at a point that stays as it is; or left, and then not moved.
enum class End { kMoved, kSettled, kLeft };

}  // namespace steep::minimize
