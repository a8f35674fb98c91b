// Batch normalisation (Ioffe and Szegedy 2015), of virtual batches too (Hoffer et al. 2017), and the
// steps it and its gradient are done in. Vectors over channels lie one after the other in a tensor,
// each padded; what is said of all samples has a row for each group of them.
#pragma once
#include "base/panels.h"
#include "ops/op.h"

namespace steep::ops {

// What all steps know.
struct Normalizing {
  long pixels = 1, channels = 1;
  double momentum = 0, eps = 0;
  long group = 0;           // samples that are normalised together; 0: those of the batch
  bool unbiased = true;     // the running variance
  bool by_running = false;  // statistics take the place of the batch's
  bool followed = true;     // by the running statistics, while training
  long samples() const { return group > 0 ? group : kAllSamples; }  // of a row of statistics
  long units() const { return ceil_div(channels, kLane); }  // of a step that crosses samples
};

// out = f((in0 - mean)*scale + b [+ in2]), f the identity or ReLU; in1 the statistics.
struct BatchNorm : Normalizing {
  static constexpr const char* kName = "batch_norm";
  static constexpr std::array kTensors{"x"};
  static constexpr std::array kParameters{"weight", "bias", "running_mean", "running_variance"};
  static constexpr std::size_t kOptional = 2;
  static constexpr auto fields() {
    return std::tuple{Field{"momentum", &Normalizing::momentum}, Field{"eps", &Normalizing::eps},
                      Field{"virtual_batch", &Normalizing::group},
                      Field{"unbiased", &Normalizing::unbiased}};
  }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
  void gradient(Gradients& to, const Op& op) const;

  Fused f = {};
};

// out = mean and squared distances of in0 over its pixels.
struct BatchMoments : Normalizing {
  static constexpr const char* kName = "batch_moments";
  static constexpr bool kOnce = true;  // not computed again in a block that is
};

// out = mean, 1/std, scale, variance over the samples of a group, from in0.
struct BatchStatistics : Normalizing {
  static constexpr const char* kName = "batch_statistics";
  static constexpr bool kCrosses = true;
};

// The same from the running statistics.
struct FrozenStatistics : Normalizing {
  static constexpr const char* kName = "frozen_statistics";
  static constexpr bool kCrosses = true;
};

// out = sums of in0 (dy) and of dy*xhat; in1 = x, in2 = statistics.
struct BatchNormSums : Normalizing { static constexpr const char* kName = "batch_norm_sums"; };

// out = means of both over the samples of a group, from in0; in1 = statistics.
struct BatchNormGradients : Normalizing {
  static constexpr const char* kName = "batch_norm_gradients";
  static constexpr bool kCrosses = true;
};

// out (+)= gradient of in0 (dy); in1 = x, in2 = statistics, in3 = means; none of running statistics.
struct BatchNormGrad : Normalizing { static constexpr const char* kName = "batch_norm_grad"; };

// out = sum of in0 over its pixels.
struct SumPixels {
  static constexpr const char* kName = "sum_pixels";
  long pixels, channels;
};

// The sum of a tensor of the backward pass over its positions, for the gradient of a vector.
int summed(Gradients& to, int tensor, long positions, long channels);

}  // namespace steep::ops
