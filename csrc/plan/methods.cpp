// The list of methods for full batches.
#include "plan/methods.h"

#include "base/error.h"

namespace steep {

const std::vector<MethodInfo>& method_infos() {
  // Never destroyed: daemon threads may read it while the process ends.
  static const auto& table = *new std::vector<MethodInfo>{
      {"lbfgs", {"lr", "tol", "change", "c1", "c2", "sign"}, {"s#", "y#"}},
      {"conjugate_gradient",
       {"lr", "tol", "change", "c1", "c2", "form", "sign"},
       {"gradient", "direction", "step"}},
      {"newton_cg", {"lr", "tol", "change", "c1", "c2", "sign"}, {}},
      {"levenberg_marquardt", {"lr", "tol", "change", "damping", "sign"}, {"damping", "growth"}},
  };
  return table;
}

std::shared_ptr<const RuleInfo> method_as_rule(const std::string& name, int history) {
  for (const MethodInfo& method : method_infos()) {
    if (method.name != name) continue;
    auto rule = std::make_shared<RuleInfo>();
    rule->name = name;
    rule->knobs = method.knobs;
    rule->look_ahead = false;
    for (const std::string& slot : method.slots) {
      if (slot.back() != '#') {
        rule->slots.push_back(slot);
        continue;
      }
      if (history < 1) refuse(name, ": history must be at least 1, got ", history);
      for (int i = 0; i < history; ++i) {
        rule->slots.push_back(slot.substr(0, slot.size() - 1) + std::to_string(i));
      }
    }
    return rule;
  }
  return nullptr;
}

void appoint(Recipe& recipe, const std::vector<std::string>& names, int history) {
  if (names.size() == 1) recipe.method = method_as_rule(names[0], history);
  recipe.rules.clear();
  for (const std::string& name : names) {
    recipe.rules.push_back(rule_index(recipe.method ? "sgd" : name));
  }
}

}  // namespace steep
