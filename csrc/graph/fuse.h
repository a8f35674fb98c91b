// Joins ops that one kernel call can do: what a tile still in registers or cache is good for.
#pragma once
#include "graph/program.h"

namespace steep {

// Input then a map by numbers -> Input with scales; MatMul then Activation -> MatMul with an
// activation; and so on. Only where nobody else reads the tensor in between. Ops that no output needs
// are dropped.
void fuse_forward(Program& program);

// MatMulGrad then ActivationGrad -> MatMulGrad that multiplies by f' before it stores.
void fuse_backward(Program& program);

}  // namespace steep
