// One register tile of a GEMM panel: R rows by N vectors of C, summed in registers.
#pragma once
#include "cpu/kernels.h"

namespace steep::STEEP_ISA {

// The stretch of the sum that one pass over the rows adds: terms [i0, i1), of each [k0, k1).
struct Stretch {
  long i0, i1, k0, k1;
  bool first, last;  // of the whole sum: first takes the init, last the relu
};

// Hides how a value was made, so that the compiler keeps it in a register and does not turn every
// row address of the loop into a pointer of its own (they would spill).
template <class P>
[[gnu::always_inline]] inline void pin(P& value) {
  asm("" : "+r"(value));
}

// Where A(r, k) lies, for R rows. Row-major: a pointer for each five rows; the x86 address modes
// reach the others through the multiples 1, 2, 3 and 4 of the row's bytes.
template <class T, int R, bool Transposed>
struct Rows {
  static constexpr int kGroup = 5, kGroups = (R + kGroup - 1) / kGroup;
  const char* base[kGroups];
  long row, row3;  // bytes

  [[gnu::always_inline]] Rows(const T* a, long lda) : row(lda * sizeof(T)), row3(3 * row) {
    for (int g = 0; g < kGroups; ++g) base[g] = reinterpret_cast<const char*>(a) + g * kGroup * row;
    pin(row);
    pin(row3);
  }
  [[gnu::always_inline]] T at(int r) const {
    const int m = r % kGroup;
    return *reinterpret_cast<const T*>(base[r / kGroup] + (m == 3 ? row3 : m * row));
  }
  [[gnu::always_inline]] void next() {
    for (int g = 0; g < kGroups; ++g) {
      base[g] += sizeof(T);
      pin(base[g]);
    }
  }
};

template <class T, int R>
struct Rows<T, R, true> {
  const T* base;
  long lda;

  [[gnu::always_inline]] Rows(const T* a, long ld) : base(a), lda(ld) { pin(lda); }
  [[gnu::always_inline]] T at(int r) const { return base[r]; }
  [[gnu::always_inline]] void next() {
    base += lda;
    pin(base);
  }
};

// Adds K products to each sum.
template <int K, class V, int R, int N, class T, class A>
[[gnu::always_inline]] inline void add_products(typename V::Reg (&sum)[R][N], A& a, const T*& b,
                                                long ldb) {
#pragma GCC unroll 8
  for (int k = 0; k < K; ++k) {
    typename V::Reg row[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) row[n] = V::load(b + n * V::width);
    b += ldb;
    pin(b);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const typename V::Reg s = V::set1(a.at(r));
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) sum[r][n] = V::fma(s, row[n], sum[r][n]);
    }
    a.next();
  }
}

// How many of a vector's columns are present.
template <class T, class V>
[[gnu::always_inline]] inline long present(const GemmPanel<T>& p, long column) {
  const long left = p.present - column;
  return left < 0 ? 0 : left < V::width ? left : V::width;
}

template <class T, class V, int R, int N, bool Transposed>
void tile(const GemmPanel<T>& p, const Stretch& s, long row, long column) {
  using Reg = typename V::Reg;
  T* const c = p.c + row * p.ldc + column;
  Reg sum[R][N];
#pragma GCC unroll 4
  for (int n = 0; n < N; ++n) {
    const Reg init = p.bias ? V::load(p.bias + column + n * V::width) : V::zero();
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) sum[r][n] = init;
  }
  if (p.row_bias && s.first) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) sum[r][n] = V::set1(p.row_bias[row + r]);
  }
  const bool part = p.present != 0 && p.present < column + N * V::width;
  if ((p.accumulate || !s.first) && part) {
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      const long lanes = present<T, V>(p, column + n * V::width);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) sum[r][n] = V::load_part(c + r * p.ldc + n * V::width, lanes);
    }
  } else if (p.accumulate || !s.first) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) sum[r][n] = V::load(c + r * p.ldc + n * V::width);
  }

  for (long i = s.i0; i < s.i1; ++i) {
    const T* a = p.a + (p.a_offsets ? p.a_offsets[i] : 0);
    a += Transposed ? s.k0 * p.lda + row : row * p.lda + s.k0;
    const T* b = p.b + (p.b_offsets ? p.b_offsets[i] : 0) + s.k0 * p.ldb + column;
    const long ldb = p.ldb;
    Rows<T, R, Transposed> rows(a, p.lda);
    long k = s.k1 - s.k0;
    for (; k >= 2; k -= 2) add_products<2, V, R, N>(sum, rows, b, ldb);
    if (k > 0) add_products<1, V, R, N>(sum, rows, b, ldb);
  }

  const bool relu = p.relu && s.last;
  if (part) {
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      const long lanes = present<T, V>(p, column + n * V::width);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r)
        V::store_part(c + r * p.ldc + n * V::width, relu ? V::relu(sum[r][n]) : sum[r][n], lanes);
    }
    return;
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n)
      V::store(c + r * p.ldc + n * V::width, relu ? V::relu(sum[r][n]) : sum[r][n]);
}

}  // namespace steep::STEEP_ISA
