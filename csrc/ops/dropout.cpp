// Shape, test-time form and gradient of dropout.
#include "ops/dropout.h"

#include "ops/steps.h"

namespace steep::ops {

Shape Dropout::shape(const Given& given) {
  constexpr double kLeastKept = 0x1p-24;  // words of 32 bits still tell that to 8 bits
  if (!(rate >= 0 && rate < 1)) given.refuse("dropout rate must be in [0, 1), got ", rate);
  if (1 - rate < kLeastKept) {
    given.refuse("dropout rate must be at most 1 - 2^-24, got 1 - ", 1 - rate);
  }
  stream = given.next_draw();
  return given.shape();
}

// Inverted dropout is the identity at test time; the classic form scales by what was kept.
void Dropout::lower(Lowering& to, Op& op) const {
  if (to.training()) {
    Dropout scaled = *this;
    scaled.scale = scale_at_test ? 1.0 : 1.0 / (1.0 - rate);
    op.what = scaled;
  } else if (scale_at_test) {
    op.what = Affine{.scale = 1 - rate};
  } else {
    op.what = Reshape{};
  }
}

void Dropout::gradient(Gradients& to, const Op&) const {
  to.give(0, {.what = *this, .in = {to.result()}});
}

}  // namespace steep::ops
