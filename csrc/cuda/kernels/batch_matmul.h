// What the host asks of the device for products of two tensors. Plain data only.
#pragma once
#include "cuda/kernels/launch.h"

namespace steep::cuda {

// Of each of a sample's places: a (rows, depth) and b (depth, columns), or turned.
struct Pairs {
  int places, rows, depth, columns;
  bool turned_a, turned_b;
};
// c (+)= a b
void batch_matmul(const Place& at, const Pairs& of, const View& a, const View& b, const View& c,
                  bool accumulate);

}  // namespace steep::cuda
