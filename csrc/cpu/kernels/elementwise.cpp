// Elementwise kernels without a formula of their own: sums, products, dropout, sums over rows, and
// the reading of samples. Activations, losses and softmax have files of their own.
#include "base/philox.h"
#include "cpu/kernels/each.h"
#include "cpu/kernels/fill.h"

namespace steep::STEEP_ISA {
namespace {

template <class T>
void add(const T* a, long lda, const T* b, long ldb, T* c, long ldc, long rows, long width) {
  each(c, ldc, rows, width, false, [=](long r, long k) { return a[r * lda + k] + b[r * ldb + k]; });
}

template <class T>
void sub(const T* a, long lda, const T* b, long ldb, T* c, long ldc, long rows, long width) {
  each(c, ldc, rows, width, false, [=](long r, long k) { return a[r * lda + k] - b[r * ldb + k]; });
}

template <class T>
void mul(const T* a, long lda, const T* b, long ldb, T* c, long ldc, long rows, long width,
         bool accumulate) {
  each(c, ldc, rows, width, accumulate,
       [=](long r, long k) { return a[r * lda + k] * b[r * ldb + k]; });
}

template <class T>
void affine(const T* x, long ldx, T* y, long ldy, long rows, long width, T scale, T shift,
            bool accumulate) {
  each(y, ldy, rows, width, accumulate,
       [=](long r, long c) { return fma_(scale, x[r * ldx + c], shift); });
}

template <class T>
void add_row(const T* x, long ldx, const T* p, T* y, long ldy, long rows, long width) {
  each(y, ldy, rows, width, false, [=](long r, long c) { return x[r * ldx + c] + p[c]; });
}

template <class T>
void mul_row(const T* x, long ldx, const T* p, T* y, long ldy, long rows, long width,
             bool accumulate) {
  each(y, ldy, rows, width, accumulate, [=](long r, long c) { return x[r * ldx + c] * p[c]; });
}

// Sums kLane columns over all rows: 64 rows at a time, so that rounding grows with rows/64 + 64.
template <class T, class Value>
STEEP_HD void sum_block(long rows, T* out, bool accumulate, Value value) {
  T total[kLane] = {};
  for (long first = 0; first < rows; first += 64) {
    const long end = first + 64 < rows ? first + 64 : rows;
    T part[kLane] = {};
    for (long r = first; r < end; ++r)
      for (long j = 0; j < kLane; ++j) part[j] = value(r, j, part[j]);
    for (long j = 0; j < kLane; ++j) total[j] += part[j];
  }
  for (long j = 0; j < kLane; ++j) out[j] = accumulate ? out[j] + total[j] : total[j];
}

template <class T>
void column_sum(const T* x, long ldx, const T* y, long ldy, long rows, long width, T* out,
                bool accumulate) {
  for (long c = 0; c < width; c += kLane) {
    const T *const xc = x + c, *const yc = y + c;
    if (y)
      sum_block(rows, out + c, accumulate,
                [=](long r, long j, T sum) { return fma_(xc[r * ldx + j], yc[r * ldy + j], sum); });
    else
      sum_block(rows, out + c, accumulate,
                [=](long r, long j, T sum) { return sum + xc[r * ldx + j]; });
  }
}

template <class T>
void dropout(const T* x, long ldx, T* y, long ldy, long rows, long width, uint64_t key,
             uint32_t stream, uint64_t first_row, uint32_t threshold, T scale, bool accumulate) {
  constexpr long kChunk = 256;  // columns whose words are drawn at once
  const uint32_t key_low = uint32_t(key), key_high = uint32_t(key >> 32);
  for (long r = 0; r < rows; ++r) {
    const uint64_t row = first_row + uint64_t(r);
    const uint32_t row_low = uint32_t(row), row_high = uint32_t(row >> 32);
    for (long c = 0; c < width; c += kChunk) {
      const long columns = width - c < kChunk ? width - c : kChunk;
      uint32_t word[kChunk];
      for (long q = 0; q < columns / 4; ++q) {
        const Philox4 bits =
            philox(uint32_t(c / 4 + q), row_low, row_high, stream, key_low, key_high);
        for (int lane = 0; lane < 4; ++lane) word[4 * q + lane] = bits.word[lane];
      }
      const T* const from = x + r * ldx + c;
      each(y + r * ldy + c, 0, 1, columns, accumulate,
           [&](long, long k) { return word[k] >= threshold ? from[k] * scale : T(0); });
    }
  }
}

// A sample's bytes may lie at any address.
template <class S>
STEEP_HD S load(const char* from) {
  S value;
  __builtin_memcpy(&value, from, sizeof(S));
  return value;
}

template <class T, class S>
void read(const void* src, long stride, T* dst, long columns, T scale, T shift) {
  const char* const from = static_cast<const char*>(src);
  if (stride == long(sizeof(S)))
    for (long c = 0; c < columns; ++c)
      dst[c] = fma_(scale, T(load<S>(from + c * long(sizeof(S)))), shift);
  else
    for (long c = 0; c < columns; ++c) dst[c] = fma_(scale, T(load<S>(from + c * stride)), shift);
}

}  // namespace

template <class T>
void fill_elementwise(Kernels<T>& table) {
  table.add = add<T>;
  table.sub = sub<T>;
  table.mul = mul<T>;
  table.affine = affine<T>;
  table.add_row = add_row<T>;
  table.mul_row = mul_row<T>;
  table.column_sum = column_sum<T>;
  table.dropout = dropout<T>;
  table.read_f32 = read<T, float>;
  table.read_f64 = read<T, double>;
  table.read_u8 = read<T, uint8_t>;
}

STEEP_FILL(fill_elementwise)

}  // namespace steep::STEEP_ISA
