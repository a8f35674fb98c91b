// Softmax over the last axis.
#pragma once
#include "ops/op.h"

namespace steep::ops {

// out = softmax(in0).
struct Softmax {
  static constexpr const char* kName = "softmax";
  static constexpr std::array kTensors{"x"};
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;

  long positions = 1;
};

// out (+)= in1 * (in0 - sum(in0*in1)).
struct SoftmaxGrad {
  static constexpr const char* kName = "softmax_grad";
  long positions;
};

}  // namespace steep::ops
