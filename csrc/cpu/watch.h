// What a recorded step measures of activations, while their chunk of rows is in cache: how rows are spread, and
// which units give nothing. Sums of rows are added up in order, so no result depends on who computed them.
#pragma once
#include <algorithm>
#include <vector>

#include "cpu/record_kernels.h"
#include "cpu/work.h"
#include "executor.h"

namespace steep {

template <class T> class Watch {
 public:
  // For batches of up to so many rows.
  Watch(std::vector<Watched> ops, long capacity, int threads);

  // Rows [lo, hi) of op `which`, by a thread.
  void note(int which, const View<T>& out, long lo, long hi, int thread);
  // Once all threads have noted theirs: adds the rows of a batch, or of its next part.
  void add(long rows, bool first);
  // kActivationNumbers of each op.
  void put(double* to) const;

 private:
  struct Noted {
    std::vector<RowSums> rows = {};  // of the part under way
    std::vector<T> alive = {};       // (threads, padded width): where all of its rows are 0 it is 0
    std::vector<char> channels = {};  // whether each is alive, in all rows so far
    // Of all rows so far: how many elements, their mean, squares of the distances from it.
    double count = 0, mean = 0, squares = 0, saturated = 0;
  };

  struct Spread { double mean, squares; };
  static Spread spread(const RowSums* rows, long count, double width);

  const RecordKernels<T>& k_;
  const std::vector<Watched> ops_;
  const int threads_;
  std::vector<Noted> noted_;
};

}  // namespace steep
