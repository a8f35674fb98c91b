// Where data come in and what training makes small: inputs and losses.
#pragma once
#include "ops/op.h"

namespace steep::ops {

// A row of the user's array, times scale plus shift; of each place of the last axis where there are
// scales.
struct Input {
  static constexpr const char* kName = "input";
  int number = 0;  // among the inputs of its network
  double scale = 1, shift = 0;
  std::vector<double> scales = {}, shifts = {};
};

// Values and, into out, the gradient with respect to in0.
struct Loss {
  static constexpr const char* kName = "loss";
  int loss;       // position in losses/list.h
  double option;  // its own number
};

}  // namespace steep::ops
