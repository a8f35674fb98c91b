// Between the two passes of rules that move whole matrices by a direction: what is made of it in the column of
// gradients, where the first pass left it. Scratch memory is had once; no rule's formula lives here.
#pragma once
#include <memory>
#include <vector>

#include "cpu/newton_schulz.h"
#include "cpu/store.h"
#include "plan/recipe.h"

namespace steep {

// The matrices of one group whose rule wants them orthogonal.
template <class T> struct Orthogonal {
  int group;
  std::vector<int> parameters;
  std::vector<T*> matrices;
  std::vector<double> squares;  // of each, their sum
  NewtonSchulz<T> native;
};

template <class T> class Directions {
 public:
  // `directions` is the column where they lie.
  Directions(const Recipe& recipe, const CpuStore<T>& directions);

  const std::vector<std::unique_ptr<Orthogonal<T>>>& orthogonal() const { return orthogonal_; }
  double flops() const;  // of a step
  long bytes() const;

 private:
  std::vector<std::unique_ptr<Orthogonal<T>>> orthogonal_;
};

}  // namespace steep
