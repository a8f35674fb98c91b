// The list of activations: the order of Kernels::activate. A new one is a header and a word here.
// value(x, alpha) is f(x); grad(dy, stored, alpha) is dy*f', from x if kReadsInput, else from y.
// kReluLike: about half of what comes in is passed on, so weights before it start as He says.
#pragma once
#include "activations/abs.h"
#include "activations/celu.h"
#include "activations/cos.h"
#include "activations/elu.h"
#include "activations/exp.h"
#include "activations/gelu.h"
#include "activations/gelu_tanh.h"
#include "activations/hard_shrink.h"
#include "activations/hard_sigmoid.h"
#include "activations/hard_swish.h"
#include "activations/hard_tanh.h"
#include "activations/leaky_relu.h"
#include "activations/linear.h"
#include "activations/log.h"
#include "activations/log_sigmoid.h"
#include "activations/mish.h"
#include "activations/relu.h"
#include "activations/relu6.h"
#include "activations/selu.h"
#include "activations/sigmoid.h"
#include "activations/silu.h"
#include "activations/sin.h"
#include "activations/soft_shrink.h"
#include "activations/softplus.h"
#include "activations/softsign.h"
#include "activations/sqrt.h"
#include "activations/square.h"
#include "activations/tanh.h"
#include "base/list.h"

namespace steep::STEEP_ISA::activations {

using All = List<  // in any order
    Linear, ReLU, LeakyReLU, ELU, Sigmoid, Tanh, GELU, SiLU, Mish, Exp, Log, Square, Abs, Softplus,
    Sqrt, SELU, CELU, ReLU6, HardSigmoid, HardSwish, HardTanh, LogSigmoid, Softsign, SoftShrink,
    HardShrink, GELUTanh, Sin, Cos>;

}  // namespace steep::STEEP_ISA::activations
