// Matrix products by a weight, and the gradient that they send backward.
#pragma once
#include "ops/op.h"

namespace steep::ops {

// Multiplies every position of a sample: rows of its last axis.
struct Multiplying {
  bool turned = false;
  long positions = 1;
  Fused f = {};

  double flops(const Shape& weight) const {
    return 2.0 * static_cast<double>(positions) * static_cast<double>(elements_of(weight));
  }
};

// out = f(in0 W + b), for W (in, out) and, maybe, b (out,); turned, f(in0 W^T + b), for W (out, in).
struct MatMul : Multiplying {
  static constexpr const char* kName = "matmul";
  static constexpr std::array kTensors{"x"};
  static constexpr std::array kParameters{"weight", "bias"};
  static constexpr std::size_t kOptional = 2;  // from the bias on
  static constexpr auto fields() { return std::tuple{Field{"transposed", &Multiplying::turned}}; }
  bool turns() const { return turned; }  // whether it wants W by rows of W^T

  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;
};

// out (+)= in0 W^T, or in0 W where the product was turned, then times f'(stored).
struct MatMulGrad : Multiplying {
  static constexpr const char* kName = "matmul_grad";
  static constexpr bool kTakesSlope = true;
  bool turns() const { return !turned; }
};

}  // namespace steep::ops
