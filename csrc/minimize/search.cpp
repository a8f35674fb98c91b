// The interval that shrinks around a step, and its trials by cubics and secants.
#include "minimize/search.h"

#include <algorithm>
#include <cmath>

#include "minimize/vectors.h"

namespace steep::minimize {

namespace {

constexpr double kExtrapolateLow = 1.1, kExtrapolateHigh = 4.0;
constexpr double kMostStep = 1e10;
constexpr int kMostTrials = 20;

}  // namespace

LineSearch::LineSearch(double f, double slope, double first, double most, double c1, double c2)
    : f_(f), slope_(slope), most_(most), c1_(c1), c2_(c2), step_(first), best_{0, f, slope},
      other_{0, f, slope}, high_(first + kExtrapolateHigh * first), width_(most - kLeast),
      width_before_(2 * width_) {}

// Where a cubic through both ends has its minimum, and where a secant or parabola has: the next trial
// is chosen between the two, and the interval keeps the lower end as `best`.
void LineSearch::narrow(Trial at, Trial& best, Trial& other, double low, double high) {
  const double opposite = at.slope * (best.slope / std::abs(best.slope));
  const auto cubic = [](Trial a, Trial b, bool negative) {  // gamma and theta of the cubic
    const double theta = 3 * (a.f - b.f) / (b.step - a.step) + a.slope + b.slope;
    const double s = std::max({std::abs(theta), std::abs(a.slope), std::abs(b.slope)});
    const double root = std::max(0.0, (theta / s) * (theta / s) - (a.slope / s) * (b.slope / s));
    const double gamma = s * std::sqrt(root);
    return std::pair{negative ? -gamma : gamma, theta};
  };
  double next;
  if (at.f > best.f) {  // higher: the minimum lies between
    const auto [gamma, theta] = cubic(best, at, at.step < best.step);
    const double r = ((gamma - best.slope) + theta) / (((gamma - best.slope) + gamma) + at.slope);
    const double width = at.step - best.step, c = best.step + r * width;
    const double q = best.step + (best.slope / ((best.f - at.f) / width + best.slope)) / 2 * width;
    next = std::abs(c - best.step) < std::abs(q - best.step) ? c : c + (q - c) / 2;
    bracketed_ = true;
  } else if (opposite < 0) {  // lower, but past the minimum
    const auto [gamma, theta] = cubic(best, at, at.step > best.step);
    const double r = ((gamma - at.slope) + theta) / (((gamma - at.slope) + gamma) + best.slope);
    const double back = best.step - at.step, c = at.step + r * back;
    const double q = at.step + at.slope / (at.slope - best.slope) * back;
    next = std::abs(c - at.step) > std::abs(q - at.step) ? c : q;
    bracketed_ = true;
  } else if (std::abs(at.slope) < std::abs(best.slope)) {  // lower and flatter
    const auto [gamma, theta] = cubic(best, at, at.step > best.step);
    const double r = ((gamma - at.slope) + theta) / ((gamma + (best.slope - at.slope)) + gamma);
    const double back = best.step - at.step;
    const double c = r < 0 && gamma != 0 ? at.step + r * back : at.step > best.step ? high : low;
    const double q = at.step + at.slope / (at.slope - best.slope) * back;
    const bool nearer = std::abs(c - at.step) < std::abs(q - at.step);
    if (bracketed_) {
      const double inside = at.step + 0.66 * (other.step - at.step);
      next = nearer ? c : q;
      next = at.step > best.step ? std::min(inside, next) : std::max(inside, next);
    } else {
      next = std::clamp(nearer ? q : c, low, high);
    }
  } else if (bracketed_) {  // lower and as steep
    const auto [gamma, theta] = cubic(at, other, at.step > other.step);
    const double r = ((gamma - at.slope) + theta) / (((gamma - at.slope) + gamma) + other.slope);
    next = at.step + r * (other.step - at.step);
  } else {
    next = at.step > best.step ? high : low;
  }
  if (at.f > best.f) {
    other = at;
  } else {
    if (opposite < 0) other = best;
    best = at;
  }
  step_ = next;
}

LineSearch::Task LineSearch::next(double f, double slope) {
  const double line = c1_ * slope_, enough = f_ + step_ * line;
  if (first_stage_ && f <= enough && slope >= 0) first_stage_ = false;
  if (f <= enough && std::abs(slope) <= -c2_ * slope_) return Task::kDone;
  const bool ends = bracketed_ && (step_ <= low_ || step_ >= high_);
  const bool thin = bracketed_ && high_ - low_ <= kRelative * high_;
  const bool far = step_ == most_ && f <= enough && slope <= line;
  const bool near = step_ == kLeast && (f > enough || slope >= line);
  if (ends || thin || far || near) return Task::kStuck;
  if (first_stage_ && f <= best_.f && f > enough) {  // of f less the line, while none is below it
    const auto less = [&](Trial t) { return Trial{t.step, t.f - t.step * line, t.slope - line}; };
    const auto more = [&](Trial t) { return Trial{t.step, t.f + t.step * line, t.slope + line}; };
    Trial best = less(best_), other = less(other_);
    narrow(less({step_, f, slope}), best, other, low_, high_);
    best_ = more(best);
    other_ = more(other);
  } else {
    narrow({step_, f, slope}, best_, other_, low_, high_);
  }
  if (bracketed_) {
    if (std::abs(other_.step - best_.step) >= 0.66 * width_before_) {
      step_ = best_.step + 0.5 * (other_.step - best_.step);
    }
    width_before_ = width_;
    width_ = std::abs(other_.step - best_.step);
    low_ = std::min(best_.step, other_.step);
    high_ = std::max(best_.step, other_.step);
  } else {
    low_ = step_ + kExtrapolateLow * (step_ - best_.step);
    high_ = step_ + kExtrapolateHigh * (step_ - best_.step);
  }
  step_ = std::clamp(step_, kLeast, most_);
  if (bracketed_ && (step_ <= low_ || step_ >= high_ || high_ - low_ <= kRelative * high_)) {
    step_ = best_.step;
  }
  return Task::kEvaluate;
}

End arrive(Point& at, Point& found, const Numbers& numbers) {
  const double gain = at.f - found.f;
  const double size = std::max({std::abs(at.f), std::abs(found.f), 1.0});
  std::swap(at, found);
  return gain <= numbers.change * size || largest(at.g) <= numbers.tol ? End::kSettled
                                                                       : End::kMoved;
}

bool search(Function& function, const Point& from, const Vector& d, const Numbers& numbers,
            double& step, Point& to) {
  const double slope = dot(from.g, d);
  double most = kMostStep;
  const auto start = [&] { return LineSearch(from.f, slope, step, most, numbers.c1, numbers.c2); };
  LineSearch line = start();
  for (int trial = 0; trial < kMostTrials; ++trial) {
    step = line.step();
    to.x = from.x;
    add(step, d, to.x);
    function.evaluate(to);
    if (function.left()) return false;
    const double now = dot(to.g, d);
    if (!std::isfinite(to.f) || !std::isfinite(now)) {  // beyond where there are numbers
      most = step;
      step /= 10;
      line = start();
      continue;
    }
    const LineSearch::Task task = line.next(to.f, now);
    if (task == LineSearch::Task::kDone) return true;
    if (task == LineSearch::Task::kStuck) return to.f < from.f;
  }
  return false;
}

}  // namespace steep::minimize
