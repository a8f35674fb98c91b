// How the entries of a constant sparse matrix lie. Who has them is in sparse.h.
#pragma once
#include <cstdint>

#include "base/hd.h"

namespace steep {

// Rows of a sparse matrix, or of its transpose: entries begin[i] to begin[i + 1] are those of row i, in
// ascending order of their columns. Plain pointers, since code of every instruction set reads it.
struct SparseRows {
  long rows = 0, columns = 0;
  const int64_t* begin = nullptr;   // (rows + 1)
  const int32_t* column = nullptr;  // (entries)
  const double* value = nullptr;    // (entries) ...
  const float* single = nullptr;    // ... rounded to float

  // Those of type T; of dual numbers, which have no derivative here, doubles.
  STEEP_HD const float* values(const float*) const { return single; }
  template <class T> STEEP_HD const double* values(const T*) const { return value; }
};

}  // namespace steep
