// Chooses between one thread and several by measuring: what a barrier costs depends on who else uses
// the machine. No result depends on the choice.
#pragma once
#include <algorithm>

namespace steep {

// Steps are run in stretches. After a long one with the better choice come two short ones with the
// other: the first wakes workers and warms caches, the second is measured.
class Pace {
 public:
  // Of steps: long ones are tried, too, but seldom and one at a time.
  Pace() = default;
  // `longest`, in seconds: of a step beside which a barrier is nothing, and trials are not made.
  // `several` is the first choice.
  Pace(double longest, bool several) : longest_(longest), long_(longest), several_(several) {}

  // Threads of the next stretch, of `wanted` at most.
  int threads(int wanted) const { return several_ == (turn_ == kRun) ? wanted : 1; }

  // Its length, in steps.
  long steps() const {
    const double each = turn_ == kRun ? mine() : std::max(mine(), other());
    const double seconds = turn_ == kRun ? pause() - ran_ : turn_ == kWarm ? kWarmUp : kTrial;
    const long fewest = mine() < long_ ? kFewest : 1;
    return each > 0 ? std::max(fewest, static_cast<long>(seconds / each)) : kFirst;
  }

  // Whether a trial has taken so long that it need not be finished.
  bool enough(double taken) const { return turn_ != kRun && taken > 2 * kTrial; }

  // What it took.
  void note(long steps, double taken) {
    const double each = taken / static_cast<double>(std::max(steps, 1L));
    if (turn_ == kRun) {
      ran_ += taken;
      steps_ += std::max(steps, 1L);
      mine() = ran_ / static_cast<double>(steps_);
      const bool first = other() == 0 && mine() < long_;
      if ((first || ran_ >= pause()) && mine() < longest_) turn_ = kWarm;
    } else if (turn_ == kWarm && each < kHopeless * mine()) {
      turn_ = kMeasure;
    } else {
      other() = each;
      turn_ = kRun;
      const bool change = other() < mine();
      if (change) several_ = !several_;
      // The surer the choice, the rarer the trials.
      pause_ = change ? kShortPause : std::min(2 * pause_, kLongPause);
      ran_ = 0;
      steps_ = 0;
    }
  }

 private:
  enum Turn { kRun, kWarm, kMeasure };
  static constexpr long kFirst = 32, kFewest = 4;
  static constexpr double kSome = 50, kRare = 400;  // long steps to the first trial, and the next
  static constexpr double kHopeless = 8;            // times the better choice, while workers wake
  static constexpr double kWarmUp = 4e-4, kTrial = 6e-4;          // seconds
  static constexpr double kShortPause = 0.02, kLongPause = 0.16;  // seconds

  double pause() const {  // seconds from one trial to the next
    return mine() < long_ ? pause_ : std::max(pause_, (other() == 0 ? kSome : kRare) * mine());
  }
  double& mine() { return each_[several_]; }
  double& other() { return each_[!several_]; }
  double mine() const { return each_[several_]; }
  double other() const { return each_[!several_]; }

  const double longest_ = 5e-2;  // seconds of a step, ...
  const double long_ = 2e-4;     // ... and from where on trials are rare
  bool several_ = true;          // the choice
  Turn turn_ = kRun;
  double each_[2] = {0, 0};  // seconds of a step with one thread, with several
  double pause_ = kShortPause;
  double ran_ = 0;  // seconds of steps with the choice since the last trial ...
  long steps_ = 0;  // ... and how many those were
};

}  // namespace steep
