// The list of losses: the order of Kernels::loss. A new one is a header and a word here.
// A loss of kPerColumn is value(z, t, option) and grad(z, t, option) of one column, its row the
// mean over the columns; cross entropy couples the columns of a row and has a row loop of its own.
#pragma once
#include "base/list.h"
#include "losses/binary_cross_entropy.h"
#include "losses/cross_entropy.h"
#include "losses/huber.h"
#include "losses/log_cosh.h"
#include "losses/mae.h"
#include "losses/mse.h"

namespace steep::STEEP_ISA::losses {

using All = List<  // in any order
    MSE, MAE, Huber, LogCosh, CrossEntropy, BinaryCrossEntropy>;

}  // namespace steep::STEEP_ISA::losses
