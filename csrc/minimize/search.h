// Line searches for Wolfe's strong conditions, by Moré and Thuente (1994).
#pragma once
#include "minimize/function.h"

namespace steep::minimize {

// Along one line: f(step) <= f(0) + c1*step*slope(0) and |slope(step)| <= c2*|slope(0)|. Says which step to
// try next; minpack-2's dcsrch, with its constants.
class LineSearch {
 public:
  enum class Task { kEvaluate, kDone, kStuck };  // stuck: rounding or a limit ends it at this step

  LineSearch(double f, double slope, double first, double most, double c1, double c2);
  double step() const { return step_; }
  Task next(double f, double slope);  // what was found at step()

 private:
  struct Trial { double step, f, slope; };
  void narrow(Trial at, Trial& best, Trial& other, double low, double high);

  static constexpr double kLeast = 0, kRelative = 0.1;  // steps; width of the interval, of its end
  double f_, slope_, most_, c1_, c2_;
  double step_;
  bool bracketed_ = false, first_stage_ = true;
  Trial best_, other_;
  double low_ = 0, high_, width_, width_before_;
};

// The point at from.x + step*d that fulfils both conditions, or is lower and as near to them as rounding
// allows; step comes in as the first to try. False where no lower one was found, or the function was left.
// A success was the last point evaluated.
bool search(Function& function, const Point& from, const Vector& d, const Numbers& numbers,
            double& step, Point& to);

// Takes the point found, in the place of the one before; whether that was worth it.
End arrive(Point& at, Point& found, const Numbers& numbers);

}  // namespace steep::minimize
