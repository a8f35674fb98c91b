// Shapes and gradients of quotients, powers, bounds and the larger of two.
#include "ops/arithmetic.h"

#include <cmath>

#include "ops/steps.h"

namespace steep::ops {

Shape Divide::shape(const Given& given) { return given.equal(kName); }
void Divide::gradient(Gradients& to, const Op& op) const {
  to.give(0, {.what = Divide{}, .in = {to.result(), op.in[1]}});
  to.give(1, {.what = DivideGrad{}, .in = {to.result(), op.out, op.in[1]}});
}

Shape Power::shape(const Given& given) {
  if (!std::isfinite(exponent)) given.refuse("exponent must be finite, got ", exponent);
  return given.shape();
}
void Power::gradient(Gradients& to, const Op& op) const {
  to.give(0, {.what = PowerGrad{exponent}, .in = {to.result(), op.in[0]}});
}

Shape Clip::shape(const Given& given) {
  if (!(low <= high)) given.refuse("clip expects low <= high, got ", low, " and ", high);
  return given.shape();
}
void Clip::gradient(Gradients& to, const Op& op) const {
  to.give(0, {.what = ClipGrad{low, high}, .in = {to.result(), op.in[0]}});
}

Shape Maximum::shape(const Given& given) { return given.equal(kName); }
void Maximum::gradient(Gradients& to, const Op& op) const {
  to.give(0, {.what = WhereLarger{}, .in = {to.result(), op.in[0], op.in[1]}});
  to.give(1, {.what = WhereLarger{}, .in = {to.result(), op.in[1], op.in[0]}});
}

Shape Minimum::shape(const Given& given) { return given.equal(kName); }
void Minimum::gradient(Gradients& to, const Op& op) const {
  to.give(0, {.what = WhereLarger{}, .in = {to.result(), op.in[1], op.in[0]}});
  to.give(1, {.what = WhereLarger{}, .in = {to.result(), op.in[0], op.in[1]}});
}

}  // namespace steep::ops
