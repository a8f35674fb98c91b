// Shapes and gradients of PReLU, gated linear units and maxout.
#include "ops/gates.h"

#include "ops/names.h"
#include "ops/norm.h"
#include "ops/pointwise.h"
#include "ops/steps.h"

namespace steep::ops {

Shape PReLU::shape(const Given& given) {
  if (given.parameter(0) != Shape{1}) {
    given.expect_vector(0, "prelu expects slopes of shape (1,) or", given.shape().back());
    channels = given.shape().back();
  }
  return given.shape();
}

void PReLU::gradient(Gradients& to, const Op& op) const {
  const int dy = to.result(), x = op.in[0];
  const long width = elements_of(to.shape(x));
  const int shares = to.step({.what = PReLUShares{}, .in = {dy, x}}, {.width = width});
  to.term(op.parameter(0),
          {GradTerm::Form::Sum, -1, summed(to, shares, width / channels, channels)});
  to.give(0, {.what = PReLUGrad{channels}, .in = {dy, x}, .parameters = op.parameters});
}

Shape GLU::shape(const Given& given) {
  if (!any()) given.refuse(kName, " expects a kind");
  Shape shape = given.shape();
  if (shape.back() % 2 != 0) {
    given.refuse("a gated linear unit expects an even last axis, whose halves it multiplies, got ",
                 text_of(shape));
  }
  channels = shape.back() /= 2;
  reads_input = activation_reads_input(activation);
  return shape;
}

void GLU::gradient(Gradients& to, const Op& op) const {
  to.give(0, {.what = GLUGrad{*this}, .in = {to.result(), op.in[0]}});
}

Shape Maxout::shape(const Given& given) {
  Shape shape = given.shape();
  if (pieces < 1 || shape.back() % pieces != 0) {
    given.refuse("maxout expects pieces that divide the last axis, got ", pieces, " for ",
                 text_of(shape));
  }
  shape.back() /= pieces;
  return shape;
}

void Maxout::gradient(Gradients& to, const Op& op) const {
  to.give(0, {.what = MaxoutGrad{pieces}, .in = {to.result(), op.in[0], op.out}});
}

}  // namespace steep::ops
