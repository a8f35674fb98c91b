// What the host asks of the device around arrays of others: copies out of any strides and of any numbers, and
// the first number that is not as it should be.
#pragma once
#include "cuda/kernels/launch.h"
#include "device_memory.h"

namespace steep::cuda {

constexpr int kMostAxes = 8;

struct Strided {
  const std::byte* data;
  Number number;
  long size;
  int axes;
  long shape[kMostAxes], strides[kMostAxes];  // strides in bytes
};

// to[i] = the i-th element in C order: as it is, or as float32 or int32.
void convert(cudaStream_t stream, const Strided& from, Number number, std::byte* to);
// found = min(found, the place of the first that is not as wanted)
void find_unwanted(cudaStream_t stream, const Strided& of, const Wanted& wanted,
                   unsigned long long* found);
// found = min(found, the first of the rows of so many columns whose sum is not from low to high)
void find_unwanted_sum(cudaStream_t stream, const Strided& of, long columns, double low,
                       double high, unsigned long long* found);

}  // namespace steep::cuda
