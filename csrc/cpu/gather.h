// Samples read out of the user's arrays into the rows of a batch.
#pragma once
#include "cpu/work.h"
#include "ops/ends.h"

namespace steep {

// Rows [lo, hi) of an input, augmented where the data set is, or of an array of targets.
template <class T>
void gather_inputs(const ops::Input& op, const Work<T>& work, const Step<T>& step, long lo,
                   long hi);
// Labels or target values and sample weights of the same rows; whether there are labels and weights.
struct Gathered { bool labels, weights; };
template <class T>
Gathered gather_targets(const ops::Loss& of, const PerRow<T>& to, const Kernels<T>& k,
                        const Step<T>& step, long lo, long hi);
template <class T>
bool gather_weights(const ops::Losing& of, const PerRow<T>& to, const Step<T>& step, long lo,
                    long hi);

}  // namespace steep
