// Where each parameter lies in a column of a Store, in elements. Pure: no memory, no device.
#pragma once
#include <string>
#include <vector>

#include "base/extent.h"
#include "base/format.h"
#include "base/panels.h"
#include "graph/graph.h"

namespace steep {

// A matrix of at most this many outputs is stored as W^T: sixteen lanes of so few columns would be
// mostly padding, in every product and in every update.
constexpr long kNarrow = 4;

// A matrix (of a convolution: (height*width*in, out)) is stored as (rows, columns), cut into panels of
// kPanel columns (the last may have kLane), each row-major and contiguous; a vector is one padded row.
struct Slice {
  std::string name;
  Shape shape;
  bool decay;
  bool trained;
  Bound bound;
  bool matrix;
  bool narrow;         // stored as W^T
  long rows, columns;  // as stored; (1, n) for a vector
  long offset, size;   // size counts the padding, which stays zero

  Panels panels() const { return {rows, columns}; }
  Extent extent() const;
};

// Decayed parameters first; a pure function of the parameters.
struct Layout {
  Layout(const std::vector<Parameter>& parameters, Format format);
  // That of a part: its parameters lie where `places` of the whole do.
  Layout(const std::vector<Parameter>& parameters, const Layout& whole,
         const std::vector<int>& places);
  std::vector<Slice> slices;  // in order of definition
  long size = 0;              // elements of one column
  Format format;
};

}  // namespace steep
