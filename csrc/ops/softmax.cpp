// Shape and gradient of softmax.
#include "ops/softmax.h"

#include "ops/steps.h"

namespace steep::ops {

Shape Softmax::shape(const Given& given) {
  positions = given.positions();
  return given.shape();
}

void Softmax::gradient(Gradients& to, const Op& op) const {
  to.give(0, {.what = SoftmaxGrad{positions}, .in = {to.result(), op.out}});
}

}  // namespace steep::ops
