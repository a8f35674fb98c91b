// What the plan knows of methods for full batches: names, knobs, and what they keep. Their algorithms are in
// minimize/.
#pragma once
#include <memory>

#include "plan/recipe.h"

namespace steep {

// In the place of an update rule: one iteration on all samples a step.
struct MethodInfo {
  const char* name;
  std::vector<std::string> knobs;
  std::vector<std::string> slots;  // names; one that ends in # stands for as many as `history` says
};

const std::vector<MethodInfo>& method_infos();
// As a rule, with its slots numbered; null where no method has that name.
std::shared_ptr<const RuleInfo> method_as_rule(const std::string& name, int history);
// Puts rules into a recipe by their names, one a group; or the only one as a method. What only looks at a
// method's network then does so as by a rule that keeps nothing.
void appoint(Recipe& recipe, const std::vector<std::string>& names, int history);

}  // namespace steep
