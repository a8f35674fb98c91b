// Matrix products by a weight, and the gradient that they send backward.
#pragma once
#include "ops/op.h"

namespace steep::ops {

// out = f(in0 W + b), for W (in, out) and, maybe, b (out,).
struct MatMul {
  static constexpr const char* kName = "matmul";
  static constexpr std::array kTensors{"x"};
  static constexpr std::array kParameters{"weight", "bias"};
  static constexpr std::size_t kOptional = 1;  // the bias
  Fused f = {};

  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;
  double flops(const Shape& weight) const { return 2.0 * static_cast<double>(elements_of(weight)); }
};

// out (+)= in0 W^T, then times f'(stored).
struct MatMulGrad {
  static constexpr const char* kName = "matmul_grad";
  Fused f = {};

  double flops(const Shape& weight) const { return 2.0 * static_cast<double>(elements_of(weight)); }
};

}  // namespace steep::ops
