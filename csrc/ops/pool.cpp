// Shapes and gradients of pools.
#include "ops/pool.h"

#include <algorithm>

#include "ops/steps.h"

namespace steep::ops {

Shape Pooling::shape(const Given& given) {
  window = window_of(given, "a pool", given.image("a pool"), *this);
  for (int axis = 0; axis < 2; ++axis) {
    const long before = padding[2 * axis], after = padding[2 * axis + 1];
    if (std::max(before, after) >= size[axis]) {
      given.refuse("a pool expects padding below its size ", size[axis], ", got ", before, " and ",
                   after);
    }
  }
  return image_shape(window, window.channels);
}

void MaxPool::gradient(Gradients& to, const Op& op) const {
  to.give(0, {.what = MaxPoolGrad{window}, .in = {op.in[0], op.out, to.result()}});
}

void AvgPool::gradient(Gradients& to, const Op&) const {
  to.give(0, {.what = AvgPoolGrad{window, count_padding}, .in = {to.result()}});
}

}  // namespace steep::ops
