// Samples read out of the user's arrays into the rows of a batch.
#pragma once
#include "cpu/work.h"
#include "ops/ends.h"

namespace steep {

// Rows [lo, hi) of the batch's inputs, augmented where the data set is.
template <class T>
void gather_inputs(const ops::Input& op, const Work<T>& work, const Step<T>& step, long lo,
                   long hi);
// Labels or target values and sample weights of the same rows; whether there are labels and weights.
struct Gathered { bool labels, weights; };
template <class T>
Gathered gather_targets(const PerRow<T>& to, const Kernels<T>& k, const Step<T>& step, long lo,
                        long hi);

}  // namespace steep
