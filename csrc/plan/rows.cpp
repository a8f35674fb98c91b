// Runs a plan's sample calls over rows, and looks for where a value stopped being finite.
#include <cmath>

#include "plan/plan.h"

namespace steep {

template <class T> bool Plan<T>::run_rows(const Step<T>& step, long lo, long hi) const {
  step.batcher->order(step.epoch, step.batch, lo, hi, step.order);
  const long chunks = (hi - lo + chunk_ - 1) / chunk_;
  for (long c = 0; c < chunks; ++c) {
    const long from = lo + (hi - lo) * c / chunks, to = lo + (hi - lo) * (c + 1) / chunks;
    for (const Call<T>& call : calls_) call.run(call.args.get(), step, from, to);
  }
  double sum = 0;
  for (long r = lo; r < hi; ++r) sum += values_[r] * 0.0;
  return sum == 0;
}

template <class T> std::string Plan<T>::first_fault(const Step<T>& step) const {
  for (const Call<T>& call : calls_) {
    if (call.out < 0) continue;
    for (long r = 0; r < step.rows; ++r) {
      const T* x = row(call.out, r);
      for (long c = 0; c < width(call.out); ++c) {
        if (!std::isfinite(static_cast<double>(x[c]))) return call.name;
      }
    }
  }
  return "loss";
}

template bool Plan<float>::run_rows(const Step<float>&, long, long) const;
template std::string Plan<float>::first_fault(const Step<float>&) const;
template bool Plan<double>::run_rows(const Step<double>&, long, long) const;
template std::string Plan<double>::first_fault(const Step<double>&) const;

}  // namespace steep
