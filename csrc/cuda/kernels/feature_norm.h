// What the host asks of the device for normalisation of samples by themselves. Plain data only.
#pragma once
#include "cuda/kernels/launch.h"

namespace steep::cuda {

// A sample is (outer, pixels, parts, channels of a part): each of outer*parts pieces has a mean and a 1/std. By
// position a piece is the channels of one.
struct Featured {
  int outer, pixels, parts, channels;
  double eps;
  bool by_position, centred;
};
// Means of the pieces, then 1/std.
void feature_moments(const Place& at, const Featured& n, const View& x, const View& out);
// Weight and bias may be missing. By position it may make the moments, too.
void feature_norm(const Place& at, const Featured& n, const View& x, const View& moments,
                  bool makes, const float* weight, const float* bias, const View& y);
// Sums of dy over positions and pixels, then of dy*xhat, each padded.
void feature_norm_sums(const Place& at, const Featured& n, const View& dy, const View& x,
                       const View& moments, const View& out);
// By position without sums.
void feature_norm_grad(const Place& at, const Featured& n, const View& dy, const View& x,
                       const View& moments, const View& sums, const float* weight, const View& dx,
                       bool accumulate);

}  // namespace steep::cuda
