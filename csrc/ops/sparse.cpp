// Shapes and gradients of products by a constant sparse matrix.
#include "ops/sparse.h"

#include "base/sparse.h"
#include "ops/steps.h"

namespace steep::ops {

double Sparse::multiply_adds(long columns) const {
  return static_cast<double>(matrix->entries()) * static_cast<double>(columns);
}

Shape SparseProduct::shape(const Given& given) {
  Shape shape = given.shape();
  if (shape.size() < 2) {
    given.refuse("a sparse product expects (nodes, channels), got ", text_of(shape));
  }
  a = matrix->by_rows();
  if (shape[0] != a.columns) {
    given.refuse("a sparse product by (", a.rows, ", ", a.columns, ") expects ", a.columns,
                 " nodes, got ", text_of(shape));
  }
  channels = given.width() / shape[0];
  shape[0] = a.rows;
  return shape;
}

void SparseProduct::lower(Lowering& to, Op& op) const {
  op.as<SparseProduct>()->shared = to.training();
}

void SparseProduct::gradient(Gradients& to, const Op&) const {
  SparseProduct back = *this;
  back.a = a.begin == matrix->by_rows().begin ? matrix->by_columns() : matrix->by_rows();
  to.give(0, {.what = back, .in = {to.result()}});
}

Shape SparseMatMul::shape(const Given& given) {
  const Shape& x = given.shape();
  const Shape& w = given.parameter(0);
  a = matrix->by_rows();
  if (x != Shape{a.rows, 1}) {
    given.refuse("constant features of ", a.rows, " nodes expect a factor for each, (", a.rows,
                 ", 1), got ", text_of(x));
  }
  if (w.size() != 2 || w[0] != a.columns) {
    given.refuse(a.columns, " constant features do not fit weights of shape ", text_of(w));
  }
  outputs = w[1];
  return {a.rows, outputs};
}

void SparseMatMul::lower(Lowering& to, Op& op) const {
  op.as<SparseMatMul>()->shared = to.training();
}

void SparseMatMul::gradient(Gradients& to, const Op& op) const {
  const int weight = op.parameter(0);
  const SparseMatMulGrad back{{matrix, matrix->by_columns(), true}, outputs};
  const int dw =
      to.step({.what = back, .in = {to.result(), op.in[0]}, .parameters = {weight}}, {.width = 0});
  to.term(weight, {GradTerm::Form::Partial, -1, dw});
  to.give(
      0,
      {.what = SparseMatMulFactors{*this, outputs}, .in = {to.result()}, .parameters = {weight}});
}

}  // namespace steep::ops
