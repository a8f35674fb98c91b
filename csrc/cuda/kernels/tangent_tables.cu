// Rows of tables, their gradient, and products of two tensors, in dual numbers.
#include "cuda/kernels/tangent.cuh"
// The line above comes first.
#include "cuda/kernels/tangent_tables.h"

namespace steep::cuda {

namespace {

constexpr int kWarps = 2;  // of a block

STEEP_HD DualNumber* place(const DualTable& t, int row, int c) {
  return t.data + (t.narrow ? t.panels.at(c, row) : t.panels.at(row, c));
}

// The row that a number names, or -1.
STEEP_HD int named(double id, int rows) {
  const int row = id >= 0 && id < rows ? static_cast<int>(id) : -1;
  return row >= 0 && row == id ? row : -1;
}

struct Picked {
  DualTable table;
  int padding;
  Duals ids;
  STEEP_HD Dual operator()(int r, int c) const {
    const int row = named(get(ids, r, c / table.units).v, table.rows);
    if (row < 0) return __builtin_nan("");
    const Dual value = get(place(table, row, c % table.units));
    return row == padding ? Dual(value.v) : value;
  }
};

struct RowsAdded {
  DualTable table;
  Duals x;
  STEEP_HD Dual operator()(int r, int c) const {
    return get(x, r, c) + get(place(table, c / table.units, c % table.units));
  }
};

// A warp a row and 32 columns: it looks at 32 ids at a time, and adds what comes of those that name its row, one
// after the other.
__global__ void __launch_bounds__(32 * kWarps)
    sum_named(int n, DualTable dw, int skipped, Duals ids, Duals dy, bool accumulate) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const long warp = static_cast<long>(blockIdx.x) * kWarps + threadIdx.x / 32;
  const int row = static_cast<int>(warp % dw.rows);
  const int c = static_cast<int>(warp / dw.rows) * 32 + lane;
  const bool there = c < dw.units;
  Dual sum = there && accumulate ? get(place(dw, row, c)) : Dual(0);
  for (int first = 0; row != skipped && first < n; first += 32) {
    const int i = first + lane;
    const bool mine =
        i < n && named(get(ids, i / dw.positions, i % dw.positions).v, dw.rows) == row;
    for (unsigned left = __ballot_sync(kAll, mine); left != 0; left &= left - 1) {
      const int j = first + __ffs(static_cast<int>(left)) - 1;
      if (there) sum += get(dy, j / dw.positions, j % dw.positions * dw.units + c);
    }
  }
  if (there) put(place(dw, row, c), sum);
}

struct SumOfPosition {  // over all rows of the batch
  int rows;
  DualTable dw;
  Duals dy;
  bool accumulate;
  STEEP_HD void operator()(int p, int c) const {
    DualNumber* const to = place(dw, p, c);
    Dual sum = accumulate ? get(to) : Dual(0);
    for (int r = 0; r < rows; ++r) sum += get(dy, r, p * dw.units + c);
    put(to, sum);
  }
};

// Terms one after the other.
struct ProductOfPair {
  Pairs of;
  Duals a, b, y;
  bool accumulate;
  STEEP_HD void operator()(int r, int c) const {
    const int size = of.rows * of.columns, matrix = c / size, at = c % size;
    const int i = at / of.columns, j = at % of.columns;
    const DualNumber* left = place(a, r, static_cast<long>(matrix) * of.rows * of.depth);
    const DualNumber* right = place(b, r, static_cast<long>(matrix) * of.depth * of.columns);
    left += of.turned_a ? i : i * of.depth;
    right += of.turned_b ? j * of.depth : j;
    const int down = of.turned_a ? of.rows : 1, along = of.turned_b ? 1 : of.columns;
    DualNumber* const to = place(y, r, c);
    Dual sum = accumulate ? get(to) : Dual(0);
    for (int k = 0; k < of.depth; ++k, left += down, right += along)
      sum = fma_(get(left), get(right), sum);
    put(to, sum);
  }
};

}  // namespace

void pick_rows(const Place& at, const DualTable& table, int padding, const Duals& ids,
               const Duals& y) {
  write_each(at, y, false, Picked{table, padding, ids});
}

void add_table(const Place& at, const DualTable& table, const Duals& x, const Duals& y) {
  write_each(at, y, false, RowsAdded{table, x});
}

void scatter_rows(const Place& at, const DualTable& dw, int skipped, const Duals& ids,
                  const Duals& dy, bool accumulate) {
  const long warps = static_cast<long>(dw.rows) * ((dw.units + 31) / 32);
  const long even = (warps + kWarps - 1) / kWarps;
  start(at.stream, dim3(static_cast<unsigned>(even)), dim3(32 * kWarps), sum_named,
        at.rows * dw.positions, dw, skipped, ids, dy, accumulate);
}

void sum_tables(const Place& at, const DualTable& dw, const Duals& dy, bool accumulate) {
  Place positions = at;
  positions.rows = dw.positions;
  each(positions, dw.units, SumOfPosition{at.rows, dw, dy, accumulate});
}

void batch_matmul(const Place& at, const Pairs& of, const Duals& a, const Duals& b, const Duals& c,
                  bool accumulate) {
  each(at, c.columns, ProductOfPair{of, a, b, c, accumulate});
}

}  // namespace steep::cuda
