// Shape and gradient of softmax.
#include "ops/softmax.h"

#include "ops/steps.h"

namespace steep::ops {

Shape Softmax::shape(const Given& given) { return given.flat("softmax"); }

void Softmax::gradient(Gradients& to, const Op& op) const {
  to.give(0, {.what = SoftmaxGrad{}, .in = {to.result(), op.out}});
}

}  // namespace steep::ops
