// Ops that lay weights out for others.
#pragma once
#include "graph/program.h"

namespace steep::cuda {

// Kernels take weights as they are stored: what nobody reads packed is not.
void drop_packs(Program& program);

}  // namespace steep::cuda
