// Lays out the knobs and the slots of a recipe.
#include "plan/recipe.h"

#include <algorithm>

#include "base/error.h"

namespace steep {

int Recipe::knobs(int group) const {
  int column = kSharedKnobs;
  for (int g = 0; g < group; ++g) column += rule(g).columns();
  return column;
}

bool Recipe::any_sparse() const { return std::count(sparse.begin(), sparse.end(), true) > 0; }

bool Recipe::keeps_gradients() const {
  return std::any_of(rules.begin(), rules.end(),
                     [](int rule) { return rule_infos()[rule].keeps_gradient; });
}

void check(const Recipe& recipe, std::size_t parameters) {
  if (recipe.rules.empty()) refuse("a training needs an update rule");
  if (recipe.groups.size() != parameters) {
    refuse("there are ", parameters, " parameters, the groups of ", recipe.groups.size(),
           " were given");
  }
  if (!recipe.sparse.empty() && recipe.sparse.size() != recipe.rules.size()) {
    refuse(recipe.rules.size(), " groups, ", recipe.sparse.size(), " of them said to be sparse");
  }
  for (int g = 0; g < static_cast<int>(recipe.rules.size()); ++g) {
    const RuleInfo& rule = recipe.rule(g);
    if (recipe.is_sparse(g) && (rule.sums > 0 || rule.look_ahead)) {
      refuse("the rule ", rule.name, " moves whole parameters, not some of their rows");
    }
  }
  for (const int group : recipe.groups) {
    if (group < kNobody || group >= static_cast<int>(recipe.rules.size())) {
      refuse("there are ", recipe.rules.size(), " groups, a parameter is in group ", group);
    }
  }
}

std::vector<double> by_parameter(const Recipe& recipe, const Layout& weights,
                                 const std::vector<double>& of_groups) {
  std::vector<double> penalties;
  for (std::size_t p = 0; p < recipe.groups.size(); ++p) {
    const bool decayed = weights.slices[p].decay || recipe.decay_bias;
    const int group = recipe.groups[p];
    penalties.push_back(decayed && group != kNobody ? of_groups[group] : 0);
  }
  return penalties;
}

// A rule of factors has a slot for rows and one for columns.
static Shape slot_shape(const RuleInfo& rule, const std::string& slot, const Slice& s) {
  if (!rule.factored) return s.shape;
  const Extent of = s.extent();
  return {static_cast<long>(slot == rule.slots[0] ? of.rows : of.columns)};
}

std::vector<SlotColumn> slot_columns(const Recipe& recipe, const Layout& weights) {
  std::vector<SlotColumn> columns;
  for (std::size_t g = 0; g < recipe.rules.size(); ++g) {
    for (const std::string& name : recipe.rule(static_cast<int>(g)).slots) {
      const bool known = std::any_of(columns.begin(), columns.end(),
                                     [&](const SlotColumn& c) { return c.name == name; });
      if (!known) columns.push_back({name, nullptr});
    }
  }
  if (recipe.average) columns.push_back({kAverageSlot, nullptr});
  for (SlotColumn& column : columns) {
    std::vector<Parameter> parameters;
    for (std::size_t p = 0; p < weights.slices.size(); ++p) {
      const Slice& s = weights.slices[p];
      if (recipe.groups[p] == kNobody) {
        parameters.push_back({s.name, {0}, s.decay, s.trained});
        continue;
      }
      const RuleInfo& rule = recipe.rule(recipe.groups[p]);
      const bool averages = recipe.average && column.name == kAverageSlot;
      const Shape shape = averages                     ? s.shape
                          : rule.slot(column.name) < 0 ? Shape{0}
                                                       : slot_shape(rule, column.name, s);
      parameters.push_back({s.name, shape, s.decay, s.trained});
    }
    column.layout = std::make_shared<Layout>(parameters, weights.format);
  }
  return columns;
}

KnobRow::KnobRow(const std::vector<Recipe>& recipes, int scalars) : scalars(0) {
  for (const Recipe& recipe : recipes) {
    first.push_back(this->scalars);
    this->scalars += recipe.columns();
  }
  columns = this->scalars + scalars;
}

}  // namespace steep
