// Where data come in and what training makes small: inputs, targets and losses.
#pragma once
#include "ops/op.h"

namespace steep::ops {

// A row of the user's array, times scale plus shift; of each place of the last axis where there are
// scales.
struct Input {
  static constexpr const char* kName = "input";
  int number = 0;       // among the inputs of its network, or
  bool target = false;  // among the arrays of targets
  double scale = 1, shift = 0;
  std::vector<double> scales = {}, shifts = {};
};

// A loss of each sample, its term among those of its objective: values and, into out, the gradient with
// respect to in0.
struct Losing {
  int term = 0;
  int weights = -1;  // which array of sample weights, or none
};

// One of losses/list.h.
struct Loss : Losing {
  static constexpr const char* kName = "loss";
  int loss;       // its position there
  double option;  // its own number
  int target;     // which array of targets
};

// Scale times the sum of in0's elements. Where there is an in1, logits, those are right that are above 0
// where in2, the targets, are above a half.
struct MeanLoss : Losing {
  static constexpr const char* kName = "mean_loss";
  double scale = 1;
};

}  // namespace steep::ops
