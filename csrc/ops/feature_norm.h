// Normalisation of a sample by itself: over the channels of each position (Ba et al. 2016; without the
// mean, Zhang and Sennrich 2019), or over the positions of groups of channels (Wu and He 2018; Ulyanov et
// al. 2016). By the batch: norm.h.
#pragma once
#include "base/panels.h"
#include "ops/op.h"

namespace steep::ops {

// A sample is (outer, pixels, parts*run): each of outer*parts pieces, of `pixels` times `run` numbers, has
// a mean and a 1/std of its own.
struct Featuring {
  long groups = 0;  // of the channels; 0: each position by itself
  double eps = 0;
  bool centred = true;  // whether the mean is taken away
  long outer = 1, pixels = 1, parts = 1, channels = 1;

  bool by_position() const { return groups == 0; }
  long run() const { return channels / parts; }
  long pieces() const { return outer * parts; }
  double count() const { return static_cast<double>(pixels) * static_cast<double>(run()); }
};

// out = (in0 - mean)/std * weight + bias; lowered, in1 has the moments.
struct FeatureNorm : Featuring {
  static constexpr const char* kName = "feature_norm";
  static constexpr std::array kTensors{"x"};
  static constexpr std::array kParameters{"weight", "bias"};
  static constexpr std::size_t kOptional = 5;
  static constexpr auto fields() {
    return std::tuple{Field{"groups", &Featuring::groups}, Field{"eps", &Featuring::eps},
                      Field{"centred", &Featuring::centred}};
  }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
  void gradient(Gradients& to, const Op& op) const;
};

// out = means, then 1/sqrt(variance + eps), of the pieces of in0.
struct FeatureMoments : Featuring { static constexpr const char* kName = "feature_moments"; };

// out = sums of in0 (dy) over the positions, then of dy*xhat; in1 = x, in2 = moments.
struct FeatureNormSums : Featuring { static constexpr const char* kName = "feature_norm_sums"; };

// out (+)= gradient of in0 (dy); in1 = x, in2 = moments and, where a piece has many positions, in3 = sums.
struct FeatureNormGrad : Featuring { static constexpr const char* kName = "feature_norm_grad"; };

}  // namespace steep::ops
