// Where the elements of a row and of a packed matrix lie: lanes, panels, and leading dimensions that do
// not compete for one cache set. No memory lives here.
#pragma once

namespace steep {

constexpr long kLane = 16;   // padding unit of every row and parameter, in elements
constexpr long kPanel = 32;  // columns of one packed panel; the last panel may have kLane

constexpr long ceil_div(long a, long b) { return (a + b - 1) / b; }
constexpr long padded(long n) { return ceil_div(n, kLane) * kLane; }
// At least n elements, an odd number of lanes: places this far apart use every set of a cache.
constexpr long spread(long n) { return padded(n) | kLane; }

// A matrix (rows, columns) as the panel kernel wants it: cut into panels of kPanel columns (the last
// may have kLane), each row-major and contiguous. A vector is a matrix of one row.
struct Panels {
  long rows, columns;

  long width() const { return padded(columns); }
  long size() const { return rows * width(); }  // elements, with the padding
  long count() const { return ceil_div(columns, kPanel); }
  long width(long panel) const {  // of one panel: also the distance of its rows
    const long left = width() - panel * kPanel;
    return left < kPanel ? left : kPanel;
  }
  long present(long panel) const {  // columns of one panel that there are
    const long left = columns - panel * kPanel;
    return left < kPanel ? left : kPanel;
  }
  long offset(long panel) const { return panel * kPanel * rows; }  // of its first element
  long at(long row, long column) const {
    const long panel = column / kPanel;
    return offset(panel) + row * width(panel) + column % kPanel;
  }
};

}  // namespace steep
