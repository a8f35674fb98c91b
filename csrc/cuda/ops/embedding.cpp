// Rows of tables, picked by ids or added to positions. The gradient of a table is a term: ../plan_terms.cpp.
#include "cuda/kernels/embedding.h"

#include "cuda/ops/bind.h"

namespace steep::cuda {

Launch bind(const ops::Embedding& op, const Bound& to) {
  const Table table{to.weight, to.narrow, static_cast<int>(op.vocabulary),
                    static_cast<int>(op.units), static_cast<int>(op.positions)};
  return [=, ids = to.in[0], y = to.out](const Place& at) { pick_rows(at, table, ids, y); };
}

Launch bind(const ops::AddTable& op, const Bound& to) {
  const Table table{to.weight, to.narrow, static_cast<int>(op.positions),
                    static_cast<int>(op.units), static_cast<int>(op.positions)};
  return [=, x = to.in[0], y = to.out](const Place& at) { add_table(at, table, x, y); };
}

}  // namespace steep::cuda
