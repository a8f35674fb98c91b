// Shape and gradient of local response normalisation.
#include "ops/lrn.h"

#include "ops/steps.h"

namespace steep::ops {

Shape LocalNorm::shape(const Given& given) {
  const Shape& x = given.image("local response normalisation");
  given.expect_axis(size, "size");
  if (size < 1 || size % 2 == 0 || !(bias > 0) || !(alpha >= 0)) {
    given.refuse("local response normalisation expects an odd size, bias > 0 and alpha >= 0, got ",
                 size, ", ", bias, " and ", alpha);
  }
  pixels = x[0] * x[1];
  channels = x[2];
  return x;
}

void LocalNorm::gradient(Gradients& to, const Op& op) const {
  to.give(0, {.what = LocalNormGrad{*this}, .in = {op.in[0], to.result()}});
}

}  // namespace steep::ops
