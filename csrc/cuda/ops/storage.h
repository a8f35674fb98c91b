// Which tensors of a program lie in device memory as bfloat16: a function of the program and the mode.
#pragma once
#include "base/products.h"
#include "graph/program.h"
#include "plan/layout.h"

namespace steep::cuda {

// In the mode of bfloat16 and without libraries, which read float32: each tensor whose every writer and reader has
// kernels for it. What is no activation and no gradient of one stays float32: statistics, sums, parts of gradients
// of weights, losses; so does what leaves the device.
void store_narrow(Program& program, const Layout& weights, Products products);
// "3 of 7 tensors in bfloat16: input, conv2d, ..." by what writes them; "" where none is.
std::string narrow_tensors(const Program& program);

}  // namespace steep::cuda
