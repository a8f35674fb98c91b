// What both halves of batch normalisation know: where the vectors of a sample's group lie, and how statistics are written.
#pragma once
#include "cuda/kernels/images.h"
#include "cuda/kernels/kernel.cuh"

namespace steep::cuda {

STEEP_HD int group_of(const Norm& n, int r) { return n.group > 0 ? r / n.group : 0; }
STEEP_HD const float* row_of(const Norm& n, const View& x, int r) {
  return x.data + group_of(n, r) * x.ld;
}

STEEP_HD void write_statistics(float* to, long width, double eps, float scale, double mean,
                               double variance) {
  const double inverse = 1 / sqrt_(variance + eps);
  to[0] = static_cast<float>(mean);
  to[width] = static_cast<float>(inverse);
  to[2 * width] = static_cast<float>(static_cast<double>(scale) * inverse);
  to[3 * width] = static_cast<float>(variance);
}
STEEP_HD void clear(float* to, long width) {
  for (int k = 0; k < 4; ++k) to[k * width] = 0;
}

}  // namespace steep::cuda
