// Where the elements of a row and of a packed matrix lie: lanes, panels, and leading dimensions that do
// not compete for one cache set. No memory lives here.
#pragma once
#include "base/hd.h"

namespace steep {

constexpr long kLane = 16;  // padding unit of every row and parameter, in elements
// Vectors of kLane whose squares are summed apart where a gradient is finished.
constexpr long kSquareTurns = 4;
constexpr long kPanel = 32;  // columns of one packed panel; the last panel may have kLane

STEEP_HD constexpr long ceil_div(long a, long b) { return (a + b - 1) / b; }
STEEP_HD constexpr long padded(long n) { return ceil_div(n, kLane) * kLane; }
// At least n elements, an odd number of lanes: places this far apart use every set of a cache.
STEEP_HD constexpr long spread(long n) { return padded(n) | kLane; }

// A matrix (rows, columns) as the panel kernel wants it: cut into panels of kPanel columns (the last
// may have kLane), each row-major and contiguous. A vector is a matrix of one row.
struct Panels {
  long rows, columns;

  STEEP_HD long width() const { return padded(columns); }
  STEEP_HD long size() const { return rows * width(); }  // elements, with the padding
  STEEP_HD long count() const { return ceil_div(columns, kPanel); }
  STEEP_HD long width(long panel) const {  // of one panel: also the distance of its rows
    const long left = width() - panel * kPanel;
    return left < kPanel ? left : kPanel;
  }
  STEEP_HD long present(long panel) const {  // columns of one panel that there are
    const long left = columns - panel * kPanel;
    return left < kPanel ? left : kPanel;
  }
  STEEP_HD long offset(long panel) const { return panel * kPanel * rows; }  // of its first element
  STEEP_HD long at(long row, long column) const {
    const long panel = column / kPanel;
    return offset(panel) + row * width(panel) + column % kPanel;
  }
};

}  // namespace steep
