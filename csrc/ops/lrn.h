// Local response normalisation over channels (Krizhevsky et al. 2012).
#pragma once
#include "ops/op.h"

namespace steep::ops {

// y_c = x_c / (bias + alpha * sum_{|j-c| <= size/2} x_j^2)^beta over neighbouring channels.
struct LocalNorm {
  static constexpr const char* kName = "lrn";
  static constexpr std::array kTensors{"x"};
  static constexpr auto fields() {
    return std::tuple{Field{"size", &LocalNorm::size}, Field{"alpha", &LocalNorm::alpha},
                      Field{"beta", &LocalNorm::beta}, Field{"bias", &LocalNorm::bias}};
  }
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;

  long size = 1;  // channels of a window
  double alpha = 0, beta = 0, bias = 1;
  long pixels = 1, channels = 1;
};

// out (+)= gradient of in1 at in0.
struct LocalNormGrad {
  static constexpr const char* kName = "lrn_grad";
  LocalNorm of;
};

}  // namespace steep::ops
