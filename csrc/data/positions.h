// Targets of the positions of a sample: pixels, or steps of time. Where classes and weights lie in the
// user's arrays, and which positions count; what a loss does with them is a device's.
#pragma once
#include <functional>
#include <limits>
#include <vector>

#include "data/source.h"

namespace steep {

constexpr long kNoLabel = std::numeric_limits<long>::min();

struct Positions {
  long each = 1;            // of a sample
  Source labels = {};       // whole numbers (samples, each); no data where targets are values
  Source weights = {};      // (samples, each); no data for ones
  long classes = 0;         // labels are below it
  long ignored = kNoLabel;  // the label of a position that does not count
  const double* counts =
      nullptr;  // (samples) how many positions of each count; null where a loss takes
                // a sample as a whole
  const double* sums = nullptr;  // (samples) of their weights
  bool any() const { return counts != nullptr; }
};

// Calls f(address of the first, bytes between two, how many) for runs of elements [first, end) of a sample
// in C order.
void each_run(const Source& source, long sample, long first, long end,
              const std::function<void(const std::byte*, long, long)>& f);

// Classes of positions [first, first + count) of a sample, -1 where one does not count. The array is the
// user's and may change: what is no class does not count either.
void read_labels(const Positions& of, long sample, long first, long count, int* labels);

// How many positions of each sample count, and the sums of their weights.
struct Counted { std::vector<double> counts, weights; };
Counted count(const Positions& of, long samples);

// The first label that is neither a class nor ignored.
struct Misfit { long sample, position, label; };
bool find_misfit(const Positions& of, long samples, Misfit& found);

}  // namespace steep
