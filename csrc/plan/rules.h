// What the plan knows of update rules: their names, slots and knobs, from the explicit list.
#pragma once
#include <limits>
#include <string>
#include <vector>

namespace steep {

// The first columns of a knob table; the rule's own follow. Limits of clipping may be 0; there is none
// where they are kNoLimit.
enum CommonKnob { kL1, kL2, kClipNorm, kClipValue, kDecay, kCommonKnobs };
inline constexpr double kNoLimit = std::numeric_limits<double>::infinity();
inline constexpr const char* kCommonKnobNames[] = {"l1", "l2", "clip_norm", "clip_value", "decay"};

struct RuleInfo {
  std::string name;
  std::vector<std::string> slots, knobs;
  bool look_ahead;

  int slot(const std::string& name) const;  // position, -1 when the rule has none of that name
  int knob(const std::string& name) const;
  int columns() const { return kCommonKnobs + static_cast<int>(knobs.size()); }  // of a knob table
};

const std::vector<RuleInfo>& rule_infos();  // in the order of rules/list.h
int rule_index(const std::string& name);    // refuses an unknown name

}  // namespace steep
