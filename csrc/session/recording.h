// The rows of recorded steps until somebody takes them: a ring of them, where the oldest make room. Allocated
// once; what a row holds, the executor says.
#pragma once
#include <algorithm>
#include <limits>
#include <vector>

#include "executor.h"

namespace steep {

class Recording {
 public:
  struct Rows {
    std::vector<long> steps;     // by their number, from 0
    std::vector<double> values;  // (steps, columns)
  };

  // Every so many steps from now on, 0 for none; what was not taken is gone.
  void begin(long every, long columns) {
    every_ = every;
    columns_ = columns;
    const long room = every > 0 ? std::clamp(kElements / std::max(1L, columns), 1L, kMostRows) : 0;
    rows_ = {};
    rows_.steps.reserve(static_cast<std::size_t>(room));
    rows_.values.reserve(static_cast<std::size_t>(room * columns));
  }
  // How many steps a call may do, from step `first` on.
  long most(long first) const {
    return every_ > 0 ? (due(first) + room()) * every_ - first : std::numeric_limits<long>::max();
  }
  // Where the device puts the rows of steps [first, first + count).
  Recorded prepare(long first, long count) {
    if (every_ == 0) return {};
    cut(first);
    const long from = due(first), rows = due(first + count) - from;
    const long held = static_cast<long>(rows_.steps.size());
    drop(std::max(0L, held + rows - room()));
    for (long i = 0; i < rows; ++i) rows_.steps.push_back((from + i) * every_);
    const std::size_t at = rows_.values.size();
    rows_.values.resize(rows_.steps.size() * static_cast<std::size_t>(columns_));
    return {every_, rows_.values.data() + at, columns_};
  }
  // Steps from `done` on were not done, or are undone.
  void cut(long done) {
    while (!rows_.steps.empty() && rows_.steps.back() >= done) rows_.steps.pop_back();
    rows_.values.resize(rows_.steps.size() * static_cast<std::size_t>(columns_));
  }
  // Drops what is of steps before `known`.
  void forget(long known) {
    const auto first = std::lower_bound(rows_.steps.begin(), rows_.steps.end(), known);
    drop(first - rows_.steps.begin());
  }
  const Rows& rows() const { return rows_; }

 private:
  static constexpr long kElements = 1L << 20, kMostRows = 4096;
  long due(long first) const { return (first + every_ - 1) / every_; }
  long room() const { return static_cast<long>(rows_.steps.capacity()); }
  void drop(long oldest) {
    rows_.steps.erase(rows_.steps.begin(), rows_.steps.begin() + oldest);
    rows_.values.erase(rows_.values.begin(), rows_.values.begin() + oldest * columns_);
  }

  long every_ = 0, columns_ = 0;
  Rows rows_;
};

}  // namespace steep
