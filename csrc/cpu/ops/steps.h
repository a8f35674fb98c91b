// What the passes of recurrent layers share: which samples go through the steps together, in what order, and
// the mask of dropout. The passes themselves are recurrent.cpp and recurrent_grad.cpp.
#pragma once
#include "cpu/kernels/gemm.h"
#include "cpu/ops/drawn.h"
#include "ops/recurrent.h"

namespace steep::STEEP_ISA {

using ops::Cell;
using ops::Recurrence;

// How many steps sample r has; all of them where `start` does not say.
template <class T> STEEP_HD long steps_of(const Recurrence& op, const View<T>* start, long r) {
  if (!op.lengths) return op.steps;
  const double n = double(plain(start->at(r)[0]));
  return !(n > 0) ? 0 : n > double(op.steps) ? op.steps : long(n);  // of NaN, too
}

// Samples that go through the steps together, those with most steps first: of those that are still under way
// at a step rows lie side by side. Every row has its own sums, so their order shows nowhere.
struct Together {
  long count = 0;
  long sample[Recurrence::kManyRows], steps[Recurrence::kManyRows];

  template <class T>
  Together(const Recurrence& op, const View<T>* start, long lo, long hi) : count(hi - lo) {
    for (long i = 0; i < count; ++i) {
      const long n = steps_of(op, start, lo + i);
      long at = i;
      for (; at > 0 && steps[at - 1] < n; --at) {
        sample[at] = sample[at - 1];
        steps[at] = steps[at - 1];
      }
      sample[at] = lo + i;
      steps[at] = n;
    }
  }
  long most() const { return count > 0 ? steps[0] : 0; }
  // How many have a step k.
  long active(long k) const {
    long n = count;
    while (n > 0 && steps[n - 1] <= k) --n;
    return n;
  }
  // Which position of row i step k is.
  long at(const Recurrence& op, long i, long k) const { return op.reverse ? steps[i] - 1 - k : k; }
};

// Row i of `mask`, `ld` apart: what U takes of each unit of h, 0 or 1/(1 - rate).
template <class T>
STEEP_HD void draw_mask(const Recurrence& op, const Step<T>& s, const Together& rows, T* mask,
                        long ld) {
  const uint32_t threshold = uint32_t(__builtin_llround(op.dropout * 4294967296.0));
  const T scale = T(1.0 / (1.0 - op.dropout));
  for (long i = 0; i < rows.count; ++i) {
    over_words({s.seed, s.step, op.stream, s.first}, padded(op.units), rows.sample[i],
               rows.sample[i] + 1, [&](const uint32_t* word, long, long c, long columns) {
                 for (long j = 0; j < columns; ++j)
                   mask[i * ld + c + j] = word[j] >= threshold ? scale : T(0);
               });
  }
}

}  // namespace steep::STEEP_ISA
