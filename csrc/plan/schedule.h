// A Schedule: in what order and where a program runs for up to so many rows. Pure: no memory, no
// threads, no kernels.
#pragma once
#include <vector>

#include "graph/program.h"
#include "plan/phases.h"

namespace steep {

// Ops [first, last) that are taken together through `chunk` rows at a time, whose activations fit into
// a cache: all on samples of many positions, or all on vectors, or crossing samples.
struct Group {
  std::size_t first, last;
  bool crosses;
  bool meets;  // all threads, before it
  long chunk;
};

struct Schedule {
  // Widths of all tensors must be known. The program's ops come into the order of execution. `elsewhere`:
  // by tensor, its place in another block, or -1; or empty for none.
  Schedule(Program& program, long capacity, const std::vector<long>& elsewhere = {});

  std::vector<Group> groups;
  std::vector<long> offset;  // bytes from the block's start, by tensor; -1 where nobody needs it
  std::vector<bool> apart;   // whether that is in the other block
  std::vector<long> stride;  // elements from row to row; 0 where there is one for all samples
  std::vector<long> rows;    // of its buffer
  // Of arrays with one value a row: losses and hits, those of a term after those of the one before it,
  // sample numbers, labels, sample weights; and of the rows of target values, as wide as the widest.
  long values = 0, correct = 0, order = 0, labels = 0, weights = 0, target = 0;
  long target_width = 0;
  long bytes = 0;  // of the block

 private:
  void place_tensors(const Program& program, const std::vector<PhaseSpan>& spans,
                     const std::vector<long>& elsewhere);
  void place_arrays(const Program& program, long capacity);
  void cut(const Program& program, const std::vector<PhaseSpan>& spans);
  long row_bytes(const Program& program, std::size_t first, std::size_t last) const;
  long reserve(long size);

  std::vector<int> root_;  // the tensor whose memory each tensor uses
};

double flops_per_row(const Program& program);

}  // namespace steep
