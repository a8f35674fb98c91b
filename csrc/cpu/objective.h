// The objective of one batch and its gradient with respect to all parameters, as one column. Updates by
// blocks, which never write a gradient to memory, are in update.h.
#pragma once
#include "cpu/plan.h"
#include "plan/recipe.h"

namespace steep {

// What is added up, and what is added to it.
struct Terms {
  double divisor;              // of the sum of the losses of the batch
  std::vector<double> l1, l2;  // penalties of each parameter
};

// What the sum of a batch's losses is divided by; 0 where no sample weighs anything.
double divisor(const Recipe& recipe, const Batcher& data, Position at);

// Leaves the values of the batch in the plan, and the gradient in g, a column of the weights' layout.
// NaN where the step's halt was wanted.
template <class T>
double objective(const Plan<T>& plan, const CpuStore<T>& weights, const Step<T>& step,
                 const Terms& terms, T* g, int threads);

}  // namespace steep
