// What the host asks of the device for tables whose rows are picked or added. Plain data only.
#pragma once
#include "cuda/kernels/launch.h"

namespace steep::cuda {

struct Table {
  Weight w;
  bool narrow;  // stored as W^T
  int rows, units;
  int positions;  // of a sample
};
// The rows that ids name; NaN where they name none.
void pick_rows(const Place& at, const Table& table, const View& ids, const View& y);
// y = x + a row for each position
void add_table(const Place& at, const Table& table, const View& x, const View& y);

// Who names which row, in the order of samples and positions: ids that are equal but for a multiple of 256 lie
// together. Memory of a table's gradient.
struct Named {
  int row, by;  // which position of which sample, in one number
};
struct Buckets {
  Named* named;
  int* counts;  // (stretches of ids, 256)
  int* first;   // where each bucket begins, and the last one ends
};
constexpr int kBuckets = 256;
constexpr int kStretch = 1024;  // ids of a block
// dW (+)= sums of dy over those who name a row, one after the other; `skipped` gets none.
void scatter_rows(const Place& at, const Table& dw, int skipped, const View& ids, const View& dy,
                  const Buckets& buckets, bool accumulate);
// dW (+)= sums of dy over samples, one after the other
void sum_tables(const Place& at, const Table& dw, const View& dy, bool accumulate);

}  // namespace steep::cuda
