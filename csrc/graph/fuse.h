// Joins ops that one kernel call can do: what a tile still in registers or cache is good for.
#pragma once
#include <vector>

#include "graph/backward.h"

namespace steep {

// Input then Affine -> Input with scale; MatMul then Activation -> MatMul with an activation.
// Only where nobody else reads the tensor in between. Ops that no output needs are dropped.
void fuse_forward(Program& program, const std::vector<int>& outputs);

// MatMulGrad then ActivationGrad -> MatMulGrad that multiplies by f' before it stores.
void fuse_backward(Program& program);

// Removes ops that were emptied: aliases of their own result.
void drop_self_aliases(Program& program);

}  // namespace steep
