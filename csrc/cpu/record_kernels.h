// The kernels of recorded steps, once per instruction set, apart from those of all steps. Only declarations
// live here.
#pragma once
#include "cpu/kernels.h"

namespace steep {

// Of one row of an op's output: its first element, sums of the distances from it and of their squares, and how
// many elements are saturated.
struct RowSums { double first, sum, squares, saturated; };

// Sums of squares of a block: its weights before a step, its gradient, and what the step added.
struct StepSquares { double weight, gradient, update; };

template <class T> struct RecordKernels {
  // Of whole vectors: sum x^2, also of x that is copied, and sum (after - before)^2.
  double (*squares)(const T* x, long n);
  double (*keep)(const T* x, long n, T* copy);
  double (*distance)(const T* before, const T* after, long n);
  // Of each row of x, where what is not inside (low, high) is saturated, of low >= high nothing; alive(c) stays 0
  // where x(r, c) is 0 in each row.
  void (*row_sums)(const T* x, long ldx, long rows, long columns, double low, double high,
                   RowSums* sums, T* alive);
  // kernels<T>().update with those sums; the weights before it are left. Null of rules that look ahead or have two
  // passes.
  bool (*const* update)(const UpdateArgs<T>&, T* before, StepSquares* squares);
};

// Of the instruction set that kernels<T>() has; nothing in dual numbers.
template <class T> const RecordKernels<T>& record_kernels();

}  // namespace steep
