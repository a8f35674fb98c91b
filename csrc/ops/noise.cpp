// Shapes, test-time forms and gradients of the ops whose result is drawn.
#include "ops/noise.h"

#include <cmath>

#include "ops/steps.h"

namespace steep::ops {

namespace {

// A new number, and the shape of what is drawn.
const Shape& begin(Drawing& op, const Given& given) {
  op.stream = given.next_draw();
  return given.shape();
}

// Predictions that draw nothing take the mean.
template <class A> void settle(const A& a, Lowering& to, Op& op) {
  if (to.training() || a.sample) return;
  A mean = a;
  mean.drawn = false;
  op.what = mean;
}

}  // namespace

Shape NormalLike::shape(const Given& given) { return begin(*this, given); }
void NormalLike::lower(Lowering& to, Op& op) const { settle(*this, to, op); }

Shape UniformLike::shape(const Given& given) {
  if (!(low <= high && std::isfinite(high - low))) {
    given.refuse("uniform_like expects low <= high, got ", low, " and ", high);
  }
  return begin(*this, given);
}
void UniformLike::lower(Lowering& to, Op& op) const { settle(*this, to, op); }

Shape Bernoulli::shape(const Given& given) { return begin(*this, given); }
void Bernoulli::lower(Lowering& to, Op& op) const {
  if (!to.training() && !sample) op.what = Reshape{};
}

Shape GaussianNoise::shape(const Given& given) {
  if (!(std >= 0 && std::isfinite(std))) {
    given.refuse("gaussian_noise expects a std of at least 0, got ", std);
  }
  return begin(*this, given);
}
void GaussianNoise::lower(Lowering& to, Op& op) const {
  if (!to.training()) op.what = Reshape{};
}
void GaussianNoise::gradient(Gradients& to, const Op&) const {
  to.give(0, {.what = Affine{}, .in = {to.result()}});
}

Shape Reparameterize::shape(const Given& given) {
  if (given.shape(0) != given.shape(1)) {
    given.refuse("reparameterize expects a mean and a log_variance of equal shapes, got ",
                 text_of(given.shape(0)), " and ", text_of(given.shape(1)));
  }
  return begin(*this, given);
}
void Reparameterize::lower(Lowering& to, Op& op) const {
  if (to.training() || sample) return;
  op.what = Reshape{};
  op.in.resize(1);
}
void Reparameterize::gradient(Gradients& to, const Op& op) const {
  to.give(0, {.what = Affine{}, .in = {to.result()}});
  to.give(1, {.what = ReparameterizeGrad{*this}, .in = {to.result(), op.in[1]}});
}

}  // namespace steep::ops
