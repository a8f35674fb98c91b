// Ops that change nothing but what goes backward.
#pragma once
#include "ops/op.h"

namespace steep::ops {

// out is in0; no gradient comes back.
struct StopGradient {
  static constexpr const char* kName = "stop_gradient";
  static constexpr std::array kTensors{"x"};
  static constexpr bool kAlias = true;
  static constexpr bool kStops = true;
  Shape shape(const Given& given) { return given.shape(); }
};

// out is in0; its gradient comes back times -scale (Ganin & Lempitsky 2015), a number or one of the
// step's.
struct GradientReversal {
  static constexpr const char* kName = "gradient_reversal";
  static constexpr std::array kTensors{"x"};
  static constexpr bool kAlias = true;
  static constexpr std::size_t kOptional = 1;  // scalar
  static constexpr auto fields() {
    return std::tuple{Field{"scale", &GradientReversal::scale},
                      Field{"scalar", &GradientReversal::scalar}};
  }
  Shape shape(const Given& given) { return given.shape(); }
  void gradient(Gradients& to, const Op& op) const;

  double scale = 1;
  int scalar = -1;  // which number of the step the scale is times, or none
};

}  // namespace steep::ops
