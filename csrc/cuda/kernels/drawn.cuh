// The random words of the ops that draw, as the CPU's: a function of seed, step, op, row and column.
#pragma once
#include "base/philox.h"
#include "cuda/kernels/kernel.cuh"

namespace steep::cuda {

// The words of four columns of a row.
STEEP_HD Philox4 words_of(const Drawn& drawn, const StepRow& step, int r, uint32_t quad) {
  const uint64_t counter = drawn.by_epoch ? ~step.epoch : step.step;
  const uint64_t key = drawn.seed ^ (counter + 1) * 0x9E3779B97F4A7C15u;
  const uint64_t row = step.passed + static_cast<uint64_t>(step.before + r);
  return philox(quad, static_cast<uint32_t>(row), static_cast<uint32_t>(row >> 32), drawn.stream,
                static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32));
}

}  // namespace steep::cuda
