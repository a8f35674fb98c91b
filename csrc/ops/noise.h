// Ops whose result is drawn: normal, uniform and 0/1 numbers, and what is added to tensors. No gradient
// passes through what was drawn. Predictions take its mean, or draw, too.
#pragma once
#include "ops/op.h"

namespace steep::ops {

// What drawing ops share.
struct Drawing {
  bool sample = false;  // in predictions, too
  bool drawn = true;    // or else the mean
  uint32_t stream = 0;  // number of the op in its network
};

// out ~ N(0, 1), of in0's shape.
struct NormalLike : Drawing {
  static constexpr const char* kName = "normal_like";
  static constexpr std::array kTensors{"x"};
  static constexpr bool kStops = true;
  static constexpr auto fields() { return std::tuple{Field{"sample", &Drawing::sample}}; }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
};

// out ~ U(low, high), of in0's shape.
struct UniformLike : Drawing {
  static constexpr const char* kName = "uniform_like";
  static constexpr std::array kTensors{"x"};
  static constexpr bool kStops = true;
  static constexpr auto fields() {
    return std::tuple{Field{"low", &UniformLike::low}, Field{"high", &UniformLike::high},
                      Field{"sample", &Drawing::sample}};
  }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;

  double low = 0, high = 1;
};

// out = 1 with probability in0, else 0; in0 itself where it is not drawn.
struct Bernoulli : Drawing {
  static constexpr const char* kName = "bernoulli";
  static constexpr std::array kTensors{"x"};
  static constexpr bool kStops = true;
  static constexpr auto fields() { return std::tuple{Field{"sample", &Drawing::sample}}; }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
};

// out = in0 + std*n, n ~ N(0, 1).
struct GaussianNoise : Drawing {
  static constexpr const char* kName = "gaussian_noise";
  static constexpr std::array kTensors{"x"};
  static constexpr auto fields() { return std::tuple{Field{"std", &GaussianNoise::std}}; }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
  void gradient(Gradients& to, const Op& op) const;

  double std = 0;
};

// out = in0 + e^(in1/2) n, n ~ N(0, 1): a draw from N(in0, e^in1) that gradients pass through (Kingma &
// Welling 2014).
struct Reparameterize : Drawing {
  static constexpr const char* kName = "reparameterize";
  static constexpr std::array kTensors{"mean", "log_variance"};
  static constexpr auto fields() { return std::tuple{Field{"sample", &Drawing::sample}}; }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
  void gradient(Gradients& to, const Op& op) const;
};

// out (+)= in0 (dz) * e^(in1/2) n/2, of the same draw.
struct ReparameterizeGrad : Drawing { static constexpr const char* kName = "reparameterize_grad"; };

}  // namespace steep::ops
