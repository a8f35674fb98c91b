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

// Of the targets' positions: how many a sample has, 0 where its loss takes it as a whole, and whether they
// have labels.
struct Positioned {
  long each;
  bool labels;
};
template <class T> Positioned positioned(const ops::Loss& loss, const Step<T>& step);
// Labels, or target values, and weights of positions [first, first + count) of a row; a label is -1 where a
// position does not count. Target values of a whole row are read with its first positions.
template <class T>
void gather_positions(const ops::Loss& loss, const PerRow<T>& to, const Kernels<T>& k,
                      const Step<T>& step, long row, long first, long count, int* labels,
                      T* weights);
// Of a loss without targets of its own: how many positions of a sample have weights, 0 where the sample has
// one or none; and those of positions [first, first + count) of a row.
template <class T> long weighed_positions(const ops::Losing& of, const Step<T>& step);
template <class T>
void gather_position_weights(const ops::Losing& of, const Kernels<T>& k, const Step<T>& step,
                             long row, long first, long count, T* weights);

}  // namespace steep
