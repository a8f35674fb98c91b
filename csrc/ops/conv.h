// Convolutions of images and transposed ones, grouped and depthwise among them, and the steps of their
// gradients.
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

// What carries a gradient back through Conv (Dumoulin & Visin 2016), with weights (height, width,
// out/groups, in): out = f(gradient through W of in0 + b); in1 the packed weights. The window is that of
// the convolution it goes back through.
struct ConvTranspose : Convolving {
  static constexpr const char* kName = "conv2d_transpose";
  static constexpr std::array kTensors{"x"};
  static constexpr std::array kParameters{"weight", "bias"};
  static constexpr std::size_t kOptional = 6;  // from the bias on
  static constexpr auto fields() {
    return std::tuple{
        Field{"stride", &ConvTranspose::stride}, Field{"padding", &ConvTranspose::padding},
        Field{"output_padding", &ConvTranspose::more}, Field{"dilation", &ConvTranspose::dilation},
        Field{"groups", &Convolving::groups}};
  }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
  void gradient(Gradients& to, const Op& op) const;
  double flops(const Shape& weight) const;

  Pair stride = {1, 1};
  Padding padding = {};  // pixels of the result that are cut off
  Pair more = {};        // rows and columns that it has besides
  Pair dilation = {1, 1};
  Fused f = {};
};

// out (+)= in0 correlated with W, then times f'(stored); in1 as of Conv.
struct ConvTransposeGrad : Convolving {
  static constexpr const char* kName = "conv_transpose_grad";
  static constexpr bool kTakesSlope = true;
  double flops(const Shape& weight) const;  // with those of the gradient of W
  Fused f = {};
};

// out (+)= gradient through W of in0, then times f'(stored); in1 the packed weights.
struct ConvGrad : Convolving {
  static constexpr const char* kName = "conv_grad";
  static constexpr bool kTakesSlope = true;
  double flops(const Shape& weight) const;  // with those of the gradient of W
  Fused f = {};
};

// out = gradients of W from in0 (x) and in1 (dy), one for each group of samples.
struct ConvGradWeight : Convolving {
  static constexpr const char* kName = "conv_grad_weight";
  static constexpr bool kCrosses = true;
};

}  // namespace steep::ops
