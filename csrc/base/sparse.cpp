// What a sparse matrix must be, and its transpose.
#include "base/sparse.h"

#include <cmath>
#include <limits>

#include "base/error.h"

namespace steep {

SparseMatrix::SparseMatrix(long rows, long columns, std::vector<int64_t> begin,
                           std::vector<int32_t> column, std::vector<double> value)
    : rows_(rows), columns_(columns),
      by_row_{std::move(begin), std::move(column), std::move(value), {}} {
  check();
  by_row_.single.assign(by_row_.value.begin(), by_row_.value.end());
}

SparseRows SparseMatrix::by_columns() const {
  std::call_once(turned_, [this] { turn(); });
  return view(columns_, rows_, by_column_);
}

void SparseMatrix::check() const {
  const auto& [begin, column, value, single] = by_row_;
  if (rows_ < 1 || columns_ < 1 || columns_ > std::numeric_limits<int32_t>::max() ||
      begin.size() != static_cast<std::size_t>(rows_) + 1 || column.size() != value.size()) {
    refuse("sparse matrix: ", rows_, " rows and ", columns_, " columns do not fit ", begin.size(),
           " beginnings, ", column.size(), " columns and ", value.size(), " values");
  }
  const auto entries = static_cast<int64_t>(column.size());
  if (begin.front() != 0 || begin.back() != entries) {
    refuse("sparse matrix: rows must begin at 0 and end at ", entries);
  }
  for (long i = 0; i < rows_; ++i) {
    if (begin[i] > begin[i + 1] || begin[i + 1] > entries) {
      refuse("sparse matrix: row ", i, " ends before it begins");
    }
    for (int64_t e = begin[i]; e < begin[i + 1]; ++e) {
      if (column[e] < 0 || column[e] >= columns_ || (e > begin[i] && column[e] <= column[e - 1])) {
        refuse("sparse matrix: row ", i, " has column ", column[e],
               "; columns ascend and are below ", columns_);
      }
      if (!(std::abs(value[e]) <= static_cast<double>(std::numeric_limits<float>::max()))) {
        refuse("sparse matrix: row ", i, " has the value ", value[e], "; float32 must hold it");
      }
    }
  }
}

// Rows are gone through in order, so the entries of a column come in order.
void SparseMatrix::turn() const {
  Entries& to = by_column_;
  to.begin.assign(static_cast<std::size_t>(columns_) + 1, 0);
  for (const int32_t c : by_row_.column) ++to.begin[c + 1];
  for (long c = 0; c < columns_; ++c) to.begin[c + 1] += to.begin[c];
  to.column.resize(by_row_.column.size());
  to.value.resize(by_row_.column.size());
  std::vector<int64_t> next(to.begin.begin(), to.begin.end() - 1);
  for (long i = 0; i < rows_; ++i) {
    for (int64_t e = by_row_.begin[i]; e < by_row_.begin[i + 1]; ++e) {
      const int64_t at = next[by_row_.column[e]]++;
      to.column[at] = static_cast<int32_t>(i);
      to.value[at] = by_row_.value[e];
    }
  }
  to.single.assign(to.value.begin(), to.value.end());
}

}  // namespace steep
