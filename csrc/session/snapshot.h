// What was run since the device saved weights and slots: the same steps run again from there give the
// weights of any later moment, bit by bit.
#pragma once
#include <algorithm>
#include <vector>

#include "session/session.h"

namespace steep {

constexpr long kMostSteps = 4096;  // between two snapshots, and in one run

struct Session::Snapshot {
  struct Segment {
    Data data;
    Position at;
    long count;
    bool separate, single;
    std::size_t knobs = 0;  // where its rows begin
  };
  Progress progress;
  std::vector<Segment> segments;
  std::vector<double> knobs;
  long steps = 0;
  long bytes = 0;    // of batches it keeps
  long changes = 0;  // of the Stores when the last step was done
  double taken = 0, cost = 0;
  bool valid = false;

  // Still what the steps since then began with?
  bool fits(long changes_now) const { return valid && changes == changes_now; }

  void add(Segment segment, const double* rows, int columns) {
    if (segment.count == 0) return;
    segment.knobs = knobs.size();
    knobs.insert(knobs.end(), rows, rows + segment.count * columns);
    steps += segment.count;
    if (segments.empty() || segments.back().data != segment.data) {
      bytes += segment.data->data().bytes;
    }
    segments.push_back(std::move(segment));
  }

  // Data that others own may change or go once a session turns to something else.
  void forget_borrowed() {
    const auto borrowed = [](const Segment& s) { return s.data->data().memory == nullptr; };
    if (std::none_of(segments.begin(), segments.end(), borrowed)) return;
    segments.clear();
    valid = false;
  }
};

}  // namespace steep
