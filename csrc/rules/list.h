// The list of update rules: the order of Kernels::update. A new rule is a header and a word here.
#pragma once
#include "base/list.h"
#include "rules/adabelief.h"
#include "rules/adadelta.h"
#include "rules/adafactor.h"
#include "rules/adafactor_vector.h"
#include "rules/adagrad.h"
#include "rules/adam.h"
#include "rules/adamax.h"
#include "rules/adan.h"
#include "rules/ademamix.h"
#include "rules/amsgrad.h"
#include "rules/asgd.h"
#include "rules/ftrl.h"
#include "rules/ftrl_root.h"
#include "rules/lamb.h"
#include "rules/lars.h"
#include "rules/lion.h"
#include "rules/momentum.h"
#include "rules/muon.h"
#include "rules/nadam.h"
#include "rules/nesterov.h"
#include "rules/nesterov_lookback.h"
#include "rules/radam.h"
#include "rules/rmsprop.h"
#include "rules/rmsprop_centered.h"
#include "rules/rmsprop_centered_momentum.h"
#include "rules/rmsprop_centered_nesterov.h"
#include "rules/rmsprop_momentum.h"
#include "rules/rmsprop_nesterov.h"
#include "rules/rprop.h"
#include "rules/schedule_free_adam.h"
#include "rules/schedule_free_sgd.h"
#include "rules/sgd.h"
#include "rules/signum.h"
#include "rules/yogi.h"

namespace steep::STEEP_ISA::rules {

using All = List<  // in any order
    LAMB, LARS, Muon, Adafactor, AdafactorVector, SGD, Momentum, Nesterov, NesterovLookback,
    AdaGrad, RMSProp, RMSPropMomentum, RMSPropNesterov, Adam, AMSGrad, Adamax, NAdam, AdaDelta,
    Lion, RMSPropCentered, RMSPropCenteredMomentum, RMSPropCenteredNesterov, RAdam, AdaBelief, Yogi,
    Adan, AdEMAMix, Rprop, Signum, ASGD, FTRL, FTRLRoot, ScheduleFreeSGD, ScheduleFreeAdam>;

}  // namespace steep::STEEP_ISA::rules
