// What the first pass of a rule that has two works on: sums of tasks, and of factored rules those of rows and columns.
#pragma once
#include "cuda/plan.h"
#include "plan/recipe.h"

namespace steep::cuda {

class Passes {
 public:
  // Of the group whose knobs begin in column `knobs`.
  Passes(const Recipe& recipe, const RuleInfo& info, int knobs, const Layout& layout,
         const Tasks& tasks, const Stream& stream);

  const PassSums& sums() const { return sums_; }
  const std::vector<int>& owners() const { return owners_; }
  const Matrices& matrices() const { return matrices_; }
  std::size_t bytes() const {
    return lists_.bytes() + numbers_.bytes() + matrices_lists_.bytes() + factors_.bytes();
  }

 private:
  void factor(const RuleInfo& info, const std::vector<int>& owners, const Layout& layout,
              const Tasks& tasks, const Stream& stream);

  std::vector<int> owners_;  // parameters of the group
  Memory lists_, numbers_, matrices_lists_, factors_;
  PassSums sums_{};
  Matrices matrices_{};
};

}  // namespace steep::cuda
