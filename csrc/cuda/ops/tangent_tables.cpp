// Rows of tables and products of two tensors, in dual numbers. The gradient of a table is a term: ../tangent_plan.cpp.
#include "cuda/kernels/tangent_tables.h"

#include "cuda/ops/sizes.h"
#include "cuda/ops/tangent.h"

namespace steep::cuda {

namespace {

DualTable table_of(const DualBound& to, long rows, long units, long positions) {
  return {to.weight.data,         to.weight.panels,        to.weight.narrow,
          static_cast<int>(rows), static_cast<int>(units), static_cast<int>(positions)};
}

}  // namespace

Launch bind(const ops::Embedding& op, const DualBound& to) {
  return [table = table_of(to, op.vocabulary, op.units, op.positions),
          padding = static_cast<int>(op.padding), ids = to.in[0],
          y = to.out](const Place& at) { pick_rows(at, table, padding, ids, y); };
}

Launch bind(const ops::AddTable& op, const DualBound& to) {
  return [table = table_of(to, op.positions, op.units, op.positions), x = to.in[0],
          y = to.out](const Place& at) { add_table(at, table, x, y); };
}

Launch bind(const ops::BatchMatMul& op, const DualBound& to) {
  return [of = pairs_of(op), a = to.in[0], b = to.in[1], c = to.out,
          add = to.accumulate](const Place& at) { batch_matmul(at, of, a, b, c, add); };
}

}  // namespace steep::cuda
