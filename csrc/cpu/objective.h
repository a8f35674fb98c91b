// The objective of one batch and its gradient with respect to all parameters, as one column. Updates by
// blocks, which never write a gradient to memory, are in update.h.
#pragma once
#include "cpu/plan.h"

namespace steep {

// What is added up, and what is added to it.
struct Terms {
  bool mean;                   // of the losses of the batch, not their sum
  std::vector<double> l1, l2;  // penalties of each parameter
};

// Leaves the values of the batch in the plan, and the gradient in g, a column of the weights' layout.
// NaN where the step's halt was wanted.
template <class T>
double objective(const Plan<T>& plan, const CpuStore<T>& weights, const Step<T>& step,
                 const Terms& terms, T* g, int threads);

}  // namespace steep
