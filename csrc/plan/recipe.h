// How an objective's parameters are moved: which rule moves which, the columns of state that this takes,
// and where a group's knobs are in a table. Pure.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "plan/layout.h"
#include "plan/rules.h"

namespace steep {

constexpr int kNobody = -1;  // moves it: it has no slots

struct Recipe {
  std::vector<int> rules;   // of each group of parameters: its position in rules/list.h
  std::vector<int> groups;  // of each parameter: the group it is in, or kNobody
  uint64_t seed = 0;
  bool mean = true;         // of the losses of a batch, not their sum
  bool weighted = false;    // the mean is over the sum of the samples' weights, not their number
  bool decay_bias = false;  // penalties and decay apply to all parameters
  bool average = false;     // one of the weights follows them, a slot of all parameters
  bool adaptive = false;    // the point uphill is as far in the measure of each weight
  std::vector<bool> sparse =
      {};  // of each group: rows without a gradient are left alone; or none is

  // Of full batches, in the place of the one rule: then each step is an epoch. See methods.h.
  std::shared_ptr<const RuleInfo> method = nullptr;

  const RuleInfo& rule(int group) const { return method ? *method : rule_infos()[rules[group]]; }
  int knobs(int group) const;  // the first column of a group in a knob table, or how many there are
  int columns() const { return knobs(static_cast<int>(rules.size())); }
  bool is_sparse(int group) const { return !sparse.empty() && sparse[group]; }
  bool any_sparse() const;       // then all gradients are known before the first weight moves
  bool keeps_gradients() const;  // for a rule's second pass
};

// Refuses groups that are not there.
void check(const Recipe& recipe, std::size_t parameters);

inline constexpr const char* kAverageSlot = "average";

// A penalty of each parameter, from those of the groups: 0 where it is not decayed.
std::vector<double> by_parameter(const Recipe& recipe, const Layout& weights,
                                 const std::vector<double>& of_groups);

// One number, or more, for each number of the parameters whose rule has a slot of that name; the
// others have none.
struct SlotColumn {
  std::string name;
  std::shared_ptr<const Layout> layout;
};
std::vector<SlotColumn> slot_columns(const Recipe& recipe, const Layout& weights);

// A row of the knob table of a training: the knobs of its objectives side by side, and then numbers of the
// step that losses and ops go by.
struct KnobRow {
  KnobRow(const std::vector<Recipe>& recipes, int scalars);
  std::vector<int> first;  // column of each objective
  int scalars, columns;    // the first one, and how many columns there are
};

}  // namespace steep
