// The shape of a matrix product and its gradient.
#include "ops/dense.h"

#include "ops/norm.h"
#include "ops/steps.h"

namespace steep::ops {

Shape MatMul::shape(const Given& given) {
  Shape shape = given.shape();
  const Shape& w = given.parameter(0);
  if (w.size() != 2 || w[turned ? 1 : 0] != shape.back()) {
    given.refuse("input of ", shape.back(), " does not fit ", turned ? "transposed " : "",
                 "weights of shape ", text_of(w));
  }
  const long outputs = w[turned ? 0 : 1];
  if (given.has_parameter(1)) given.expect_vector(1, "bias must have shape", outputs);
  positions = given.positions();
  shape.back() = outputs;
  return shape;
}

void MatMul::gradient(Gradients& to, const Op& op) const {
  const int dz = to.before(f), x = op.in[0], bias = op.parameter(1);
  to.term(op.parameter(0), {.form = GradTerm::Form::Outer,
                            .x = turned ? dz : x,
                            .dy = turned ? x : dz,
                            .positions = positions});
  if (bias >= 0) {
    const int sums = summed(to, dz, positions, to.shape(dz).back());
    to.term(bias, {GradTerm::Form::Sum, -1, sums});
  }
  to.give(0, {.what = MatMulGrad{{.turned = turned, .positions = positions}},
              .in = {dz},
              .parameters = {op.parameter(0)}});
}

}  // namespace steep::ops
