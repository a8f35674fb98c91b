// Recurrent layers as their kernels read them, of any kind of numbers.
#pragma once
#include "cuda/kernels/recurrent.h"
#include "ops/recurrent.h"

namespace steep::cuda {

// Where no records are kept, the gates of x lie behind each other.
Steps steps_of(const ops::Recurrence& op, bool keeps);

}  // namespace steep::cuda
