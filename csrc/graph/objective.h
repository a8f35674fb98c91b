// An Objective: what of a graph is made small, and by moving which parameters. How they are moved is the
// plan's, recipe.h.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace steep {

// One loss, the mean over samples: of a graph's tensor and targets, or of the tensor alone.
struct LossTerm {
  std::string name;
  int tensor;  // of the graph
  int loss;    // position in losses/list.h, or -1: scale times the sum of a sample's elements
  double option = 0;  // its own number, or that scale
  int target = -1;    // which array of targets
  int weights = -1;   // which array of sample weights, or none
  double weight = 1;  // in the objective, ...
  int scalar = -1;    // ... or which number of the step it is

  bool by_position = false;          // it takes the last axis of an output, position by position
  std::optional<long> ignored = {};  // the label of what does not count
  // Of a sum: logits and targets of the graph, a share of which is right; or none.
  int judged = -1, truth = -1;

  double weight_at(const double* scalars) const { return scalar < 0 ? weight : scalars[scalar]; }
};

struct Objective {
  std::string name;
  std::vector<LossTerm> terms;
  // Of each parameter, running statistics too: is it this objective's to move? And does nobody move it?
  std::vector<bool> moves, frozen;
};

constexpr int kMostTerms = 16;  // of an objective

}  // namespace steep
