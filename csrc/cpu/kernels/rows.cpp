// Sums over the rows of a batch, and the reading of samples into them.
#include "cpu/kernels/fill.h"

namespace steep::STEEP_ISA {
namespace {

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
void fill_rows(Kernels<T>& table) {
  table.column_sum = column_sum<T>;
  table.read_f32 = read<T, float>;
  table.read_f64 = read<T, double>;
  table.read_u8 = read<T, uint8_t>;
}

STEEP_FILL_DUAL(fill_rows)

}  // namespace steep::STEEP_ISA
