// Gradients of ops that change nothing but them.
#include "ops/detach.h"

#include "ops/steps.h"

namespace steep::ops {

void GradientReversal::gradient(Gradients& to, const Op&) const {
  to.give(0, {.what = Affine{.scale = -scale, .scalar = scalar}, .in = {to.result()}});
}

}  // namespace steep::ops
