// The objective of one batch and its gradient with respect to all parameters, as one column. Updates by
// blocks, which never write a gradient to memory, are in update.h.
#pragma once
#include <limits>
#include <vector>

#include "cpu/plan.h"
#include "plan/recipe.h"

namespace steep {

// What is added up, and what is added to it.
struct Terms {
  std::vector<double> divisors;  // of the sums of each term's losses of the batch
  std::vector<double> l1, l2;    // penalties of each parameter
};

// What the sum of a term's losses of a batch is divided by; 0 where no sample weighs anything.
double divisor(const LossTerm& term, const Recipe& recipe, const Batcher& data, Position at);
std::vector<double> divisors(const std::vector<LossTerm>& terms, const Recipe& recipe,
                             const Batcher& data, Position at);

// What the sum over a sample's positions is multiplied by to make its loss: then the mean over samples is
// that over all positions of the batch that count.
double share(const LossTerm& term, const Recipe& recipe, const Batcher& data, Position at);

// The factor of each term's loss of a sample in the gradient, for the step's scalars.
template <class T>
void set_factors(const std::vector<LossTerm>& terms, const Recipe& recipe, const Batcher& data,
                 Position at, Step<T>& step) {
  for (std::size_t t = 0; t < terms.size(); ++t) {
    const T by = static_cast<T>(divisor(terms[t], recipe, data, at));
    const T factor = by >= std::numeric_limits<T>::min() ? T(1) / by : T(0);
    step.factors[t] = factor * static_cast<T>(terms[t].weight_at(step.scalars));
    step.shares[t] = share(terms[t], recipe, data, at);
  }
}

// Leaves the values of the batch in the plan, and the gradient in g, a column of the weights' layout.
// NaN where the step's halt was wanted.
template <class T>
double objective(const Plan<T>& plan, const CpuStore<T>& weights, const Step<T>& step,
                 const Terms& terms, T* g, int threads);
// The value of a batch whose losses lie in the plan.
template <class T>
double value(const Plan<T>& plan, const CpuStore<T>& weights, const Step<T>& step,
             const Terms& terms);

}  // namespace steep
