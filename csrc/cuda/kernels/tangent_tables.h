// What the host asks of kernels in dual numbers that read tables, or multiply two tensors. Plain data, as in tangent.h.
#pragma once
#include "cuda/kernels/batch_matmul.h"
#include "cuda/kernels/tangent.h"

namespace steep::cuda {

// Rows of a table as the Store has it; `narrow`: as its transpose. So many positions of a sample name rows.
struct DualTable {
  DualNumber* data = nullptr;
  Panels panels = {};
  bool narrow = false;
  int rows = 0, units = 0, positions = 1;
};

// The row of `padding` has no derivative.
void pick_rows(const Place& at, const DualTable& table, int padding, const Duals& ids,
               const Duals& y);
void add_table(const Place& at, const DualTable& table, const Duals& x, const Duals& y);
// dw (+)= dy, in the rows that ids name but the skipped one; or in those of positions.
void scatter_rows(const Place& at, const DualTable& dw, int skipped, const Duals& ids,
                  const Duals& dy, bool accumulate);
void sum_tables(const Place& at, const DualTable& dw, const Duals& dy, bool accumulate);

// c (+)= a b
void batch_matmul(const Place& at, const Pairs& of, const Duals& a, const Duals& b, const Duals& c,
                  bool accumulate);

}  // namespace steep::cuda
