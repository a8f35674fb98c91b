// The kernel that finds the samples of a shuffled batch, once per instruction set: the products of its rounds are
// of whole numbers of 64 bits. Only declarations live here.
#pragma once
#include <cstdint>

#include "data/permutation.h"

namespace steep {

// to[i] = order(first + i)
using Deal = void (*)(const Permutation& order, uint64_t first, long count, long* to);

// Of the instruction set that kernels<T>() has.
Deal deal_kernel();

}  // namespace steep
