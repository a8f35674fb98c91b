// A constant sparse matrix, by rows and by columns. What is multiplied with it lives elsewhere.
#pragma once
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/sparse_rows.h"

namespace steep {

class SparseMatrix {
 public:
  // Compressed rows; refuses what is no matrix, columns out of range or order, and values that float
  // cannot hold.
  SparseMatrix(long rows, long columns, std::vector<int64_t> begin, std::vector<int32_t> column,
               std::vector<double> value);
  SparseMatrix(const SparseMatrix&) = delete;  // views point into it

  SparseRows by_rows() const { return view(rows_, columns_, by_row_); }
  // Worked out when it is asked for first.
  SparseRows by_columns() const;
  long entries() const { return static_cast<long>(by_row_.column.size()); }

 private:
  struct Entries {
    std::vector<int64_t> begin;
    std::vector<int32_t> column;
    std::vector<double> value;
    std::vector<float> single;
  };
  static SparseRows view(long rows, long columns, const Entries& e) {
    return {rows, columns, e.begin.data(), e.column.data(), e.value.data(), e.single.data()};
  }
  void check() const;
  void turn() const;

  const long rows_, columns_;
  Entries by_row_;
  mutable Entries by_column_;
  mutable std::once_flag turned_;
};

}  // namespace steep
