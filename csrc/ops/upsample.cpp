// Shape and gradient of upsampling.
#include "ops/upsample.h"

#include <algorithm>

#include "ops/steps.h"

namespace steep::ops {

Shape Upsample::shape(const Given& given) {
  const Shape& x = given.image("upsampling");
  if (size[0] < 1 || size[1] < 1) {
    given.refuse("upsampling expects sizes of at least 1, got ", size[0], " and ", size[1]);
  }
  given.expect_axis(std::max(size[0], size[1]), "size");
  height = x[0];
  width = x[1];
  channels = x[2];
  down = size[0];
  across = size[1];
  return {x[0] * size[0], x[1] * size[1], x[2]};
}

void Upsample::gradient(Gradients& to, const Op&) const {
  to.give(0, {.what = UpsampleGrad{*this}, .in = {to.result()}});
}

}  // namespace steep::ops
