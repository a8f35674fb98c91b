// What the plan knows of update rules: their names, slots and knobs, from the explicit list.
#pragma once
#include <limits>
#include <string>
#include <vector>

namespace steep {

// A row of a knob table has what holds for all parameters, and then, for each group of them, what all
// rules share and the rule's own knobs. Limits of clipping may be 0; there is none where they are
// kNoLimit. An average of the weights may follow them: it is set to them before a step where kStart is
// not 0, goes a part of the way to them after it, kAverage, and they may be set to it then, kPull. The
// gradient may be that of a point uphill, kSharpness away.
enum SharedKnob { kClipNorm, kStart, kAverage, kPull, kSharpness, kSharedKnobs };
enum GroupKnob { kL1, kL2, kClipValue, kClipParameter, kDecay, kGroupKnobs };
inline constexpr double kNoLimit = std::numeric_limits<double>::infinity();
inline constexpr const char* kSharedKnobNames[] = {"clip_norm", "start", "average", "pull",
                                                   "sharpness"};
inline constexpr const char* kGroupKnobNames[] = {"l1", "l2", "clip_value", "clip_parameter",
                                                  "decay"};

// Whether one of so many steps takes its gradient uphill.
inline bool climbs(const double* knobs, long steps, int columns) {
  for (long i = 0; i < steps; ++i) {
    if (knobs[i * columns + kSharpness] > 0) return true;
  }
  return false;
}

struct RuleInfo {
  std::string name;
  std::vector<std::string> slots, knobs;
  bool look_ahead;
  int sums;             // over a whole parameter, that a step wants between its two passes
  bool keeps_gradient;  // for the second of them
  // Between them a direction takes its place: made orthogonal, or of slots by rows and columns.
  bool orthogonal, factored;
  bool still;  // without a gradient nothing moves

  bool directs() const { return orthogonal || factored; }

  int slot(const std::string& name) const;  // position, -1 when the rule has none of that name
  int knob(const std::string& name) const;
  int columns() const { return kGroupKnobs + static_cast<int>(knobs.size()); }  // of a group
};

const std::vector<RuleInfo>& rule_infos();  // in the order of rules/list.h
int rule_index(const std::string& name);    // refuses an unknown name

}  // namespace steep
