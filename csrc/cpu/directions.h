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

// A matrix whose rule is factored, as it is stored; a vector is one row. Its tasks stand panel after panel of
// one block of rows, then those of the next block.
template <class T> struct Factored {
  Factored(int parameter, const Slice& slice);

  int parameter;
  long rows, columns, across;  // columns of a whole task
  bool turned;
  std::vector<double> by_row;     // sums of each panel, one panel after the other
  std::vector<double> by_column;  // of each block of rows, padded
  std::vector<T> row, column;     // factors of the mean squares

  long width() const { return padded(columns); }
  long panels() const { return ceil_div(columns, across); }
};

template <class T> class Directions {
 public:
  // `directions` is the column where they lie.
  Directions(const Recipe& recipe, const CpuStore<T>& directions);

  const std::vector<std::unique_ptr<Orthogonal<T>>>& orthogonal() const { return orthogonal_; }
  std::vector<Factored<T>>& factored() { return factored_; }
  Factored<T>& factored(int parameter) { return factored_[places_[parameter]]; }
  double flops() const;  // of a step
  long bytes() const;

 private:
  std::vector<std::unique_ptr<Orthogonal<T>>> orthogonal_;
  std::vector<Factored<T>> factored_;
  std::vector<std::size_t> places_;  // of each parameter among them
};

}  // namespace steep
