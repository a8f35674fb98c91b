// The random words of a step on the device: a function of seed, step, op, row and column. What is made of them
// is with the kernels.
#pragma once
#include "base/philox.h"
#include "cuda/kernels/kernel.cuh"

namespace steep::cuda {

// The four words of a block of row r.
__device__ __forceinline__ Philox4 words_of(const Now& now, const Drawn& drawn, int r,
                                            uint32_t block) {
  const StepRow& step = row_of(now);
  const uint64_t counter = drawn.by_epoch ? ~step.epoch : step.step;
  const uint64_t key = drawn.seed ^ (counter + 1) * 0x9E3779B97F4A7C15u;
  const uint64_t row = step.passed + static_cast<uint64_t>(step.before + r);
  return philox(block, static_cast<uint32_t>(row), static_cast<uint32_t>(row >> 32), drawn.stream,
                static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32));
}

}  // namespace steep::cuda
