// The Newton-Schulz iteration, which makes many matrices orthogonal at once, where they lie in panels.
// No rule and no norm lives here.
#pragma once
#include <atomic>
#include <vector>

#include "base/memory.h"
#include "base/panels.h"
#include "cpu/kernels.h"

namespace steep {

// X = U/(|U| + eps), then so many times X = X(aI + bA + cAA), A = X^T X (Jordan et al. 2024); |U| is the
// Frobenius norm. A matrix with fewer rows than columns is worked on as its transpose.
struct Quintic {
  double a, b, c;
  int steps;
  double eps;
};

// Allocates when it is made and never after. No result depends on the number of threads, nor on which
// matrices are done together.
template <class T> class NewtonSchulz {
 public:
  explicit NewtonSchulz(const std::vector<Panels>& matrices);

  // Called by every thread of a job of the pool; they meet before anything is read, and after all is
  // written. In place; padding is left as it is. squares[i] is the sum of the squares of matrix i.
  void run(T* const* matrices, const double* squares, const Quintic& quintic, int thread,
           int threads);
  double flops(int steps) const;  // of a run
  std::size_t bytes() const { return memory_.bytes(); }

 private:
  // Of one matrix, what a thread takes at a time. Copies: panels [first, last) as stored. Squares:
  // blocks of rows [first, last) and columns [left, right), in panels, on and above the diagonal.
  // Products: rows [first, last) of x by panels [left, right).
  struct Unit {
    int matrix;
    long first, last, left, right;
  };
  using Units = std::vector<Unit>;
  struct Lists { Units copies, squares, products; };
  struct Matrix {
    int index;      // among the caller's
    Panels stored;  // as the caller has it
    bool turned, tall;
    Panels x;                      // what is worked on: at least as many rows as columns
    Panels square;                 // A, P = aI + bA + cAA; where tall, two more
    long scratch = 0;              // where its part of the memory begins
    std::vector<long> terms = {};  // where the whole panels of x begin
    Lists units = {};
    T *s[4] = {}, *odd = nullptr, *even = nullptr;  // squares; x, see x_at

    double flops() const;  // of a step
    int squares() const { return tall ? 4 : 2; }
    long elements() const { return squares() * square.size() + (turned ? 2 : 1) * x.size(); }
  };
  // Matrices that are done together, each by one thread or stage by stage by all: enough for meetings
  // to cost little, not more, since the scratch memory is that of the largest wave.
  struct Wave {
    Wave(std::size_t first, bool tall) : first(first), tall(tall) {}
    std::size_t first;
    bool tall;  // all of them, or none
    long count = 0;
    Lists units = {};               // of all of them
    double flops = 0, largest = 0;  // of a step
    void add(const Matrix& m);
  };
  struct Run {
    T* const* matrices;
    const double* squares;
    const Quintic& quintic;
  };

  Matrix shaped(int index, const Panels& stored);
  void plan(Matrix& m, int place) const;
  template <class F> void take(int list, long count, int thread, int threads, F&& work);
  template <class F> void walk(const Lists& lists, bool tall, const Run& run, F&& each);

  T* x_at(const Matrix& m, const Run& run, int left) const;
  void begin(const Unit& u, const Matrix& m, const Run& run, T* x) const;
  void end(const Unit& u, const Matrix& m, const Run& run) const;
  template <class F> static void over_blocks(const Unit& u, F&& f);
  void symmetric(const Unit& u, const Matrix& m, const T* left, const T* right, const Panels& of,
                 T* out) const;
  void polynomial(const Unit& u, const Matrix& m, const Quintic& q, T* out) const;
  void mirror(const Unit& u, const Matrix& m, T* out) const;
  void product(const Unit& u, const Matrix& m, const T* x, const T* q, T* out) const;

  const Kernels<T>& k_;
  std::vector<Matrix> matrices_;
  std::vector<Wave> waves_;
  std::vector<long> wide_terms_, slim_terms_;  // where the terms of a panel of P begin
  Block memory_;
  alignas(64) std::atomic<long> next_[2] = {0, 0};  // of lists of even and of odd number
};

}  // namespace steep
