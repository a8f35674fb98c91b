// Shapes, test-time forms and gradients of the ops that draw.
#include "ops/dropout.h"

#include <cmath>

#include "ops/names.h"
#include "ops/steps.h"

namespace steep::ops {

namespace {

void check_rate(const Given& given, double rate) {
  constexpr double kLeastKept = 0x1p-24;  // words of 32 bits still tell that to 8 bits
  if (!(rate >= 0 && rate < 1)) given.refuse("dropout rate must be in [0, 1), got ", rate);
  if (1 - rate < kLeastKept) {
    given.refuse("dropout rate must be at most 1 - 2^-24, got 1 - ", 1 - rate);
  }
}

}  // namespace

Shape Dropout::shape(const Given& given) {
  check_rate(given, rate);
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

Shape AlphaDropout::shape(const Given& given) {
  check_rate(given, rate);
  stream = given.next_draw();
  // Klambauer et al. 2017: of x with mean 0 and variance 1, keep ? x : low has mean rate*low.
  scale = 1 / std::sqrt((1 - rate) * (1 + rate * kLow * kLow));
  shift = -scale * rate * kLow;
  return given.shape();
}

void AlphaDropout::lower(Lowering& to, Op& op) const {
  if (!to.training()) op.what = Reshape{};
}

void AlphaDropout::gradient(Gradients& to, const Op&) const {
  to.give(0,
          {.what = Dropout{.rate = rate, .stream = stream, .scale = scale}, .in = {to.result()}});
}

Shape RReLU::shape(const Given& given) {
  if (!(low <= high && std::isfinite(low) && std::isfinite(high))) {
    given.refuse("rrelu expects lower <= upper, got ", low, " and ", high);
  }
  stream = given.next_draw();
  return given.shape();
}

void RReLU::lower(Lowering& to, Op& op) const {
  if (!to.training()) op.what = Activation{{{activation_index("leaky_relu")}, (low + high) / 2}};
}

void RReLU::gradient(Gradients& to, const Op& op) const {
  to.give(0, {.what = RReLUGrad{*this}, .in = {to.result(), op.in[0]}});
}

}  // namespace steep::ops
