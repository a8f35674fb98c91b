// Weights divided by their largest singular value (Miyato et al. 2018): a product is computed with W itself
// and its result divided.
#pragma once
#include "base/panels.h"
#include "ops/op.h"

namespace steep::ops {

// W is the matrix (inputs, outputs).
struct Singular {
  long inputs = 1, outputs = 1;
  long iterations = 1;  // of the power method, each time
  // The vectors lie one after the other: u (outputs), v (inputs), 1/sigma.
  long v() const { return padded(outputs); }
  long inverse() const { return v() + padded(inputs); }
  long width() const { return inverse() + kLane; }
};

// out = in0 / sigma + b, in0 a product by W; in1 the vectors, which go on from u.
struct SpectralNorm : Singular {
  static constexpr const char* kName = "spectral_norm";
  static constexpr std::array kTensors{"x"};
  static constexpr std::array kParameters{"weight", "u", "bias"};
  static constexpr std::size_t kOptional = 2;  // from the bias on
  static constexpr auto fields() { return std::tuple{Field{"iterations", &Singular::iterations}}; }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
  void gradient(Gradients& to, const Op& op) const;
};

// out = the vectors after v = W u/|W u|, u = W^T v/|W^T v|, sigma = v^T W u. At the end of a step u is kept
// where it is followed: by the objective that moves it.
struct SpectralVectors : Singular {
  bool followed = true;
  static constexpr const char* kName = "spectral_vectors";
  static constexpr bool kCrosses = true;
  long units() const { return 1; }
};

// out (+)= in0 / sigma; in1 the vectors.
struct SpectralScale : Singular { static constexpr const char* kName = "spectral_scale"; };

// out = -(in0 (dy) . in1 (x)) / sigma^2 v, in2 the vectors: what sigma gives to W's gradient is the sum of
// its products with u.
struct SpectralShares : Singular { static constexpr const char* kName = "spectral_shares"; };

}  // namespace steep::ops
