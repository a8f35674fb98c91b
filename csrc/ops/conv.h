// Convolutions of images, grouped and depthwise ones among them, and the steps of their gradients.
#pragma once
#include "ops/window.h"

namespace steep::ops {

// What a convolution and its gradients share.
struct Convolving {
  Window window = {};
  long groups = 1;
  bool depthwise = false;  // every channel alone
};

// out = f(in0 correlated with W + b); in1 the packed weights, where the device wants such.
struct Conv : Convolving {
  static constexpr const char* kName = "conv2d";
  static constexpr std::array kTensors{"x"};
  static constexpr std::array kParameters{"weight", "bias"};
  static constexpr std::size_t kOptional = 5;  // from the bias on
  static constexpr auto fields() {
    return std::tuple{Field{"stride", &Conv::stride}, Field{"padding", &Conv::padding},
                      Field{"dilation", &Conv::dilation}, Field{"groups", &Convolving::groups}};
  }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
  void gradient(Gradients& to, const Op& op) const;
  double flops(const Shape& weight) const;

  Pair stride = {1, 1};
  Padding padding = {};
  Pair dilation = {1, 1};
  Fused f = {};
};

// out = W in the order that ConvGrad (transposed) or Conv wants it.
struct ConvPack : Convolving {
  static constexpr const char* kName = "conv_pack";
  static constexpr bool kCrosses = true;
  bool transposed = false;
};

// out (+)= gradient through W of in0, then times f'(stored); in1 the packed weights.
struct ConvGrad : Convolving {
  static constexpr const char* kName = "conv_grad";
  double flops(const Shape& weight) const;  // with those of the gradient of W
  Fused f = {};
};

// out = gradients of W from in0 (x) and in1 (dy), one for each group of samples.
struct ConvGradWeight : Convolving {
  static constexpr const char* kName = "conv_grad_weight";
  static constexpr bool kCrosses = true;
};

}  // namespace steep::ops
