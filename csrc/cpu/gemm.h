// Matrix products of plain row-major arrays, as a user of NumPy holds them. Packed layouts of the
// networks call the panel kernel of kernels.h themselves.
#pragma once
#include "cpu/kernels.h"

namespace steep {

// C = op(A) op(B): op(A) is (m, depth), op(B) is (depth, n), C is (m, n); op transposes where
// asked. Leading dimensions count elements between rows as stored. Each C(r, c) is summed over
// depth in ascending order: the same bits for any number of threads. C may not overlap A or B.
template <class T>
void gemm(const Kernels<T>& kernels, bool a_transposed, bool b_transposed, long m, long n,
          long depth, const T* a, long lda, const T* b, long ldb, T* c, long ldc, int threads);

}  // namespace steep
