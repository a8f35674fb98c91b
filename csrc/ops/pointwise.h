// Ops on each element by itself: activations, sums and products, maps by numbers and by parameters.
#pragma once
#include "ops/op.h"

namespace steep::ops {

// out = f(in0).
struct Activation : Fused {
  static constexpr const char* kName = "activation";
  static constexpr std::array kTensors{"x"};
  static constexpr std::size_t kOptional = 1;  // alpha
  static constexpr auto fields() {
    return std::tuple{Field{"kind", &Fused::activation}, Field{"alpha", &Fused::alpha}};
  }
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;
};

// out (+)= in0 * f'(in1); in1 is f's output or input, as f asks.
struct ActivationGrad : Fused { static constexpr const char* kName = "activation_grad"; };

// out = in0 + in1.
struct Add {
  static constexpr const char* kName = "add";
  static constexpr std::array kTensors{"a", "b"};
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;
};

// out = in0 - in1.
struct Subtract {
  static constexpr const char* kName = "subtract";
  static constexpr std::array kTensors{"a", "b"};
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;
};

// out (+)= in0 * in1.
struct Multiply {
  static constexpr const char* kName = "multiply";
  static constexpr std::array kTensors{"a", "b"};
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;
};

// out (+)= scale*in0 + shift.
struct Affine {
  static constexpr const char* kName = "affine";
  static constexpr std::array kTensors{"x"};
  static constexpr auto fields() {
    return std::tuple{Field{"scale", &Affine::scale}, Field{"shift", &Affine::shift}};
  }
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;

  double scale = 1, shift = 0;
  int scalar = -1;  // which number of the step the scale is times, or none
};

// out (+)= scale*in0 + shift with numbers for each place of the last axis; no shifts for 0.
struct AffineChannels {
  static constexpr const char* kName = "affine_channels";
  static constexpr std::array kTensors{"x"};
  static constexpr auto fields() {
    return std::tuple{Field{"scales", &AffineChannels::scales},
                      Field{"shifts", &AffineChannels::shifts}};
  }
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;

  std::vector<double> scales = {}, shifts = {};
};

// out = in0 + p, for p of the last axis.
struct AddRow {
  static constexpr const char* kName = "add_row";
  static constexpr std::array kTensors{"x"};
  static constexpr std::array kParameters{"parameter"};
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;

  long positions = 1;
};

// out (+)= in0 * p, for p of the last axis.
struct MultiplyRow {
  static constexpr const char* kName = "multiply_row";
  static constexpr std::array kTensors{"x"};
  static constexpr std::array kParameters{"parameter"};
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;

  long positions = 1;
};

}  // namespace steep::ops
