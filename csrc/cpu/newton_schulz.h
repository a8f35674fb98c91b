// The Newton-Schulz iteration, which makes many matrices orthogonal at once, where they lie in panels.
// No rule and no norm lives here.
#pragma once
#include <atomic>
#include <vector>

#include "base/memory.h"
#include "cpu/kernels.h"
#include "cpu/newton_schulz_plan.h"

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
  double flops(int steps) const { return plan_.flops(steps); }  // of a run
  std::size_t bytes() const { return memory_.bytes(); }

 private:
  using Plan = NewtonSchulzPlan;
  using Unit = Plan::Unit;
  using Units = Plan::Units;
  using Matrix = Plan::Matrix;
  struct Run {
    T* const* matrices;
    const double* squares;
    const Quintic& quintic;
  };

  template <class F> void take(int list, long count, int thread, int threads, F&& work);
  template <class F> void walk(const Plan::Lists& lists, bool tall, const Run& run, F&& each);

  T* square(const Matrix& m, int i) const;
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
  const Plan plan_;
  Block memory_;
  alignas(64) std::atomic<long> next_[2] = {0, 0};  // of lists of even and of odd number
};

}  // namespace steep
