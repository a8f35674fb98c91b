// Finds the samples of a shuffled batch. What their order is: data/permutation.h.
#include "cpu/deal.h"

namespace steep::STEEP_ISA {
namespace {

void deal(const Permutation& order, uint64_t first, long count, long* to) {
  order.deal(first, count, to);
}

}  // namespace

// Called by ../isa.cpp on processors that have this instruction set.
Deal dealer() { return deal; }

}  // namespace steep::STEEP_ISA
