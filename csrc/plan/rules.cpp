// Reads rules/list.h into a table that can be searched by name.
#include "plan/rules.h"

#include <algorithm>

#include "base/error.h"
#include "rules/list.h"

namespace steep {

namespace {

int position(const std::vector<std::string>& names, const std::string& name) {
  const auto at = std::find(names.begin(), names.end(), name);
  return at == names.end() ? -1 : static_cast<int>(at - names.begin());
}

template <class... R> std::vector<RuleInfo> rows(List<R...>) {
  return {{R::kName,
           {R::kSlots.begin(), R::kSlots.end()},
           {R::kKnobs.begin(), R::kKnobs.end()},
           R::kLookAhead,
           STEEP_ISA::rules::kSums<R>,
           STEEP_ISA::rules::kKeepsGradient<R>,
           STEEP_ISA::rules::kOrthogonal<R>,
           STEEP_ISA::rules::kFactored<R>,
           STEEP_ISA::rules::kStill<R>}...};
}

}  // namespace

int RuleInfo::slot(const std::string& name) const { return position(slots, name); }
int RuleInfo::knob(const std::string& name) const { return position(knobs, name); }

const std::vector<RuleInfo>& rule_infos() {
  // Never destroyed: daemon threads may read it while the process ends.
  static const auto& table = *new auto(rows(STEEP_ISA::rules::All{}));
  return table;
}

int rule_index(const std::string& name) {
  const auto& table = rule_infos();
  const auto at = std::find_if(table.begin(), table.end(),
                               [&](const RuleInfo& rule) { return rule.name == name; });
  if (at == table.end()) refuse("unknown update rule \"", name, "\"");
  return static_cast<int>(at - table.begin());
}

}  // namespace steep
