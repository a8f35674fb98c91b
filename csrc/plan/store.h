// The Store: one flat block of equal columns (weights; or gradients and optimizer slots), each laid
// out as the GEMM kernels want it. Only get() and set() know the logical shapes.
#pragma once
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/kernels.h"
#include "base/memory.h"
#include "graph/graph.h"

namespace steep {

// A matrix of at most this many outputs is stored as W^T: sixteen lanes of so few columns would be
// mostly padding, in every product and in every update.
constexpr long kNarrow = 4;

// Where a parameter lies, in elements. A matrix (of a convolution: (height*width*in, out)) is stored
// as (rows, columns), cut into panels of kPanel columns (the last may have kLane), each row-major
// and contiguous; a vector is one padded row.
struct Slice {
  std::string name;
  Shape shape;
  bool decay;
  bool trained;
  bool matrix;
  bool narrow;         // stored as W^T
  long rows, columns;  // as stored; (1, n) for a vector
  long offset, size;   // size counts the padding, which stays zero

  long panels() const { return (padded(columns) + kPanel - 1) / kPanel; }
  long panel_columns(long p) const { return std::min(kPanel, padded(columns) - p * kPanel); }
  long panel_offset(long p) const { return offset + p * kPanel * rows; }
};

// Decayed parameters first; a pure function of the parameters.
struct Layout {
  explicit Layout(const std::vector<Parameter>& parameters);
  std::vector<Slice> slices;  // in order of definition
  long size = 0;              // elements of one column
};

template <class T> class Store {
 public:
  Store(std::shared_ptr<const Layout> layout, int columns);

  T* column(int i) const { return reinterpret_cast<T*>(block_.data()) + i * stride_; }
  long bytes() const { return static_cast<long>(block_.bytes()); }
  long elements() const { return columns_ * stride_; }
  const Layout& layout() const { return *layout_; }
  std::shared_ptr<const Layout> shared_layout() const { return layout_; }

  // Logical, dense, row-major values of one parameter.
  void get(int column, int parameter, T* out) const;
  void set(int column, int parameter, const T* in);
  long changes() const { return changes_; }  // calls of set(): who holds a copy sees it is stale

 private:
  std::shared_ptr<const Layout> layout_;
  int columns_;
  long stride_;
  long changes_ = 0;
  Block block_;
};

}  // namespace steep
