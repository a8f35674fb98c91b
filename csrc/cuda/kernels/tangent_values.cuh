// Activations of dual numbers, and the gradients that they pass on. The formulas live in activations/.
#pragma once
#include "cuda/kernels/tangent.cuh"
// The line above comes first.
#include "activations/list.h"

namespace steep::cuda {

// The derivative of f is what f says it is, at kinks, too.
template <class F> struct Value {
  double alpha;
  STEEP_HD Dual operator()(Dual x) const {
    const double y = F::template value<double>(x.v, alpha);
    return {y, F::template grad<double>(x.d, F::kReadsInput ? x.v : y, alpha)};
  }
};
template <class F> struct Grad {
  double alpha;
  STEEP_HD Dual operator()(Dual dy, Dual stored) const {
    return F::template grad<Dual>(dy, stored, alpha);
  }
};

}  // namespace steep::cuda
