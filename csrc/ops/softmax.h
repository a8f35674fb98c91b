// Softmax over the one axis of a sample.
#pragma once
#include "ops/op.h"

namespace steep::ops {

// out = softmax(in0).
struct Softmax {
  static constexpr const char* kName = "softmax";
  static constexpr std::array kTensors{"x"};
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;
};

// out (+)= in1 * (in0 - sum(in0*in1)).
struct SoftmaxGrad { static constexpr const char* kName = "softmax_grad"; };

}  // namespace steep::ops
