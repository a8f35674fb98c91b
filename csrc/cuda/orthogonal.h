// Newton-Schulz of a group's matrices, one after the other in one scratch memory: which stages that takes. The sums
// of a stage are kernels/orthogonal.cu's.
#pragma once
#include <vector>

#include "cuda/runtime.h"
#include "plan/layout.h"
#include "plan/rules.h"

namespace steep::cuda {

class Orthogonal {
 public:
  Orthogonal(const RuleInfo& info, const Layout& layout, const std::vector<int>& owners);

  // In place of the directions in `column`, whose squares were summed; by so many steps.
  void enqueue(const Place& at, const PassSums& sums, int group_knobs, int steps,
               float* column) const;
  std::size_t bytes() const { return memory_.bytes(); }

 private:
  struct Matrix {
    Panels stored;
    long offset;
    bool turned, tall;  // x is the transpose; and half as long again as wide
    Plane x[2], squares[4];
  };
  void steps_of(const Place& at, const Matrix& m, int group_knobs, int steps) const;

  QuinticKnobs knobs_;
  std::vector<Matrix> matrices_;
  Memory memory_;  // factors, and then the largest matrix's x and squares
};

}  // namespace steep::cuda
