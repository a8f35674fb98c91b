// The shape of a matrix product and its gradient.
#include "ops/dense.h"

#include "ops/steps.h"

namespace steep::ops {

Shape MatMul::shape(const Given& given) {
  const long width = given.flat("a dense layer")[0];
  const Shape& w = given.parameter(0);
  if (w.size() != 2 || w[turned ? 1 : 0] != width) {
    given.refuse("input of ", width, " does not fit ", turned ? "transposed " : "",
                 "weights of shape ", text_of(w));
  }
  const long outputs = w[turned ? 0 : 1];
  if (given.has_parameter(1)) given.expect_vector(1, "bias must have shape", outputs);
  return {outputs};
}

void MatMul::gradient(Gradients& to, const Op& op) const {
  const int dz = to.before(f), x = op.in[0];
  to.term(op.parameter(0), {GradTerm::Form::Outer, turned ? dz : x, turned ? x : dz});
  to.term(op.parameter(1), {GradTerm::Form::Sum, -1, dz});
  to.give(0, {.what = MatMulGrad{.turned = turned}, .in = {dz}, .parameters = {op.parameter(0)}});
}

}  // namespace steep::ops
