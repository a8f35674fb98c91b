// The Store: one flat block of equal columns (weights; or gradients and optimizer slots), each laid
// out as the GEMM kernels want it. Only get() and set() know the logical shapes.
#pragma once
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/gate.h"
#include "base/memory.h"
#include "cpu/kernels.h"
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

  Panels panels() const { return {rows, columns}; }
};

// Decayed parameters first; a pure function of the parameters.
struct Layout {
  explicit Layout(const std::vector<Parameter>& parameters);
  // That of a part: its parameters lie where `places` of the whole do.
  Layout(const std::vector<Parameter>& parameters, const Layout& whole,
         const std::vector<int>& places);
  std::vector<Slice> slices;  // in order of definition
  long size = 0;              // elements of one column
};

template <class T> class Store {
 public:
  Store(std::shared_ptr<const Layout> layout, int columns);
  // The same memory under the layout of a part.
  Store(std::shared_ptr<const Layout> layout, const Store& whole)
      : layout_(std::move(layout)), columns_(whole.columns_), stride_(whole.stride_),
        held_(whole.held_) {}

  T* column(int i) const { return reinterpret_cast<T*>(held_->block.data()) + i * stride_; }
  long bytes() const { return static_cast<long>(held_->block.bytes()); }
  long elements() const { return columns_ * stride_; }
  const Layout& layout() const { return *layout_; }
  std::shared_ptr<const Layout> shared_layout() const { return layout_; }

  // Logical, dense, row-major values of one parameter.
  void get(int column, int parameter, T* out) const;
  void set(int column, int parameter, const T* in);

  // Whoever reads or writes values stands inside.
  Gate& gate() const { return held_->gate; }
  // How often values were changed: who holds a copy sees that it is stale.
  long changes() const { return held_->changes.load(std::memory_order_relaxed); }
  void note_change() const { held_->changes.fetch_add(1, std::memory_order_relaxed); }

 private:
  struct Held {  // what a whole and its parts share
    explicit Held(std::size_t bytes) : block(bytes) {}
    Block block;
    Gate gate;
    std::atomic<long> changes{0};
  };
  std::shared_ptr<const Layout> layout_;
  int columns_;
  long stride_;
  std::shared_ptr<Held> held_;
};

}  // namespace steep
