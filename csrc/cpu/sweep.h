// One update rule over one flat vector, without a network: what lab.descend and the benchmarks run.
#pragma once
#include "base/memory.h"
#include "cpu/kernels.h"
#include "plan/rules.h"

namespace steep {

template <class T> class Sweep {
 public:
  Sweep(int rule, const T* start, long n);

  long size() const { return n_; }
  const RuleInfo& rule() const { return rule_infos()[rule_]; }
  // Knobs are the rule's own; look of a step is look_next of the step before, and without effect in
  // the first. False when a weight is not finite any more.
  bool step(const T* gradient, const double* knobs, T scale, T decay);

  const T* point() const { return column(0); }
  void weights(T* out) const;  // (size)
  const T* slot(int i) const { return column(1 + i); }

 private:
  T* column(int i) const { return reinterpret_cast<T*>(block_.data()) + i * stride_; }

  const Kernels<T>& k_;
  int rule_;
  long n_, stride_;
  T look_ = 0;  // of the coming step
  Block block_;
};

}  // namespace steep
