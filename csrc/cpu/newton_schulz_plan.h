// How Newton-Schulz cuts its matrices into waves, units of work and scratch memory: a pure function of their
// shapes. No memory lives here.
#pragma once
#include <vector>

#include "base/panels.h"

namespace steep {

// Calls f(first, last) for parts of n, as few as have at most `most`, and alike but for one.
template <class F> void in_parts(long n, long most, F&& f) {
  const long parts = ceil_div(n, most);
  for (long i = 0; i < parts; ++i) f(n * i / parts, n * (i + 1) / parts);
}

struct NewtonSchulzPlan {
  // Of a matrix half as long again as wide so many steps are taken on A alone, and X is multiplied once. By
  // five at a time small singular values would lose a digit (docs/performance.md).
  static constexpr int kJoined = 3;

  // Of one matrix, what a thread takes at a time. Copies: panels [first, last) as stored. Squares:
  // blocks of rows [first, last) and columns [left, right), in panels, on and above the diagonal.
  // Products: rows [first, last) of x by panels [left, right).
  struct Unit { long matrix, first, last, left, right; };
  using Units = std::vector<Unit>;
  struct Lists { Units copies, squares, products; };
  struct Matrix {
    Matrix(long index, const Panels& stored);
    double flops() const;  // of a step; of what is symmetric, one half
    long squares() const { return tall ? 4 : 2; }
    long elements() const { return squares() * square.size() + (turned ? 2 : 1) * x.size(); }

    long index;     // among the caller's
    Panels stored;  // as the caller has it
    bool turned;    // x is the transpose
    Panels x;       // what is worked on: at least as many rows as columns
    bool tall;
    Panels square;            // A, P = aI + bA + cAA; where tall, two more
    long scratch = 0;         // where its squares begin in scratch memory, and x after them
    std::vector<long> terms;  // where the whole panels of x begin
    Lists units;
  };
  // Matrices that are done together, each by one thread or stage by stage by all: enough for meetings
  // to cost little, not more, since the scratch memory is that of the largest wave.
  struct Wave {
    long first;  // matrix
    bool tall;   // all of them, or none
    long count = 0;
    double flops = 0;  // of a step
    double largest = 0;
    Lists units = {};  // of all of them

    void add(const Matrix& m);
    // Whether every thread comes to so many matrices that nobody waits long for the last ones.
    bool apart(int threads) const;
  };

  NewtonSchulzPlan(const std::vector<Panels>& shapes, long tile_rows);
  double flops(int steps) const;

  std::vector<Matrix> matrices;  // those that are not tall first
  std::vector<Wave> waves;
  long elements = 0;                         // of scratch memory
  std::vector<long> wide_terms, slim_terms;  // where the terms of a panel of P begin

 private:
  void cut(Matrix& m, long tile_rows) const;
};

}  // namespace steep
