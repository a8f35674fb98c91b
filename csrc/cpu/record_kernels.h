// The kernels of recorded steps, once per instruction set, apart from those of all steps. Only declarations
// live here.
#pragma once

namespace steep {

// Of one row of an op's output: its first element, sums of the distances from it and of their squares, and how
// many elements are saturated.
struct RowSums { double first, sum, squares, saturated; };

template <class T> struct RecordKernels {
  // Of whole vectors: sum x^2; sums of before^2 and of (after - before)^2.
  double (*squares)(const T* x, long n);
  void (*moved)(const T* before, const T* after, long n, double* weight, double* update);
  // Of each row of x, where what is not inside (low, high) is saturated, of low >= high nothing; largest(c) becomes
  // the largest |x(r, c)| where that is more.
  void (*row_sums)(const T* x, long ldx, long rows, long columns, double low, double high,
                   RowSums* sums, T* largest);
};

// Of the instruction set that kernels<T>() has; nothing in dual numbers.
template <class T> const RecordKernels<T>& record_kernels();

}  // namespace steep
