// Sums over the rows of a batch, also by the ids of an embedding, and the reading of samples into them.
#include "cpu/kernels/fill.h"
#include "cpu/simd/vec.h"

namespace steep::STEEP_ISA {
namespace {

// Sums kColumns columns over all rows: 64 rows at a time, so that rounding grows with rows/64 + 64.
template <long kColumns, class T, class Value>
STEEP_HD void sum_block(long rows, T* out, bool accumulate, Value value) {
  T total[kColumns] = {};
  for (long first = 0; first < rows; first += 64) {
    const long end = first + 64 < rows ? first + 64 : rows;
    T part[kColumns] = {};
    for (long r = first; r < end; ++r)
#pragma GCC unroll 4
      for (long c = 0; c < kColumns; c += kLane)
        for (long j = 0; j < kLane; ++j) part[c + j] = value(r, c + j, part[c + j]);
    for (long j = 0; j < kColumns; ++j) total[j] += part[j];
  }
  for (long j = 0; j < kColumns; ++j) out[j] = accumulate ? out[j] + total[j] : total[j];
}

template <long kColumns, class T>
STEEP_HD void sum_columns(const T* x, long ldx, const T* y, long ldy, long rows, T* out,
                          bool accumulate) {
  if (y)
    sum_block<kColumns>(rows, out, accumulate, [=](long r, long j, T sum) {
      return fma_(x[r * ldx + j], y[r * ldy + j], sum);
    });
  else
    sum_block<kColumns>(rows, out, accumulate,
                        [=](long r, long j, T sum) { return sum + x[r * ldx + j]; });
}

// Vectors of columns side by side: a sum waits for itself otherwise. As many as registers hold.
template <class T>
void column_sum(const T* x, long ldx, const T* y, long ldy, long rows, long width, T* out,
                bool accumulate) {
  constexpr long kTogether = Vec<T>::width == kLane ? 4 * kLane : kLane;
  long c = 0;
  for (; c + kTogether <= width; c += kTogether)
    sum_columns<kTogether>(x + c, ldx, y ? y + c : y, ldy, rows, out + c, accumulate);
  for (; c < width; c += kLane)
    sum_columns<kLane>(x + c, ldx, y ? y + c : y, ldy, rows, out + c, accumulate);
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

// One occurrence after the other; where a stretch of ids has none, and most have none, a few comparisons
// of vectors.
template <class T>
bool scatter(const Scatter<T>& s) {
  const T low = T(double(s.first)), high = T(double(s.first + s.count));
  const auto add = [&](long r, long p, long row) {
    const T* const dy = s.dy + r * s.ld_dy + p * s.width;
    T* const to = s.turned ? s.g + row : s.g + row * s.ldg;
    const long step = s.turned ? s.ldg : 1;
    for (long c = 0; c < s.columns; ++c) to[c * step] += dy[c];
  };
  bool any = s.ids == nullptr;
  for (long r = 0; r < s.samples && s.ids == nullptr; ++r)
    for (long k = 0; k < s.count && s.first + k < s.positions; ++k) add(r, s.first + k, k);
  if (any) return true;
  for (long r = 0; r < s.samples; ++r) {
    const T* const ids = s.ids + r * s.ld_ids;
    for (long p = 0; p < s.positions; p += kLane) {
      const long n = s.positions - p < kLane ? s.positions - p : kLane;
      int32_t found = 0;  // in the padding, too
      for (long j = 0; j < kLane; ++j)
        found |= int32_t(ids[p + j] > low || ids[p + j] == low) & int32_t(ids[p + j] < high);
      if (found == 0) continue;
      for (long j = 0; j < n; ++j) {
        const double id = plain(ids[p + j]);
        if (!(id >= double(s.first) && id < double(s.first + s.count))) continue;
        const long row = long(id) - s.first;
        if (double(long(id)) != id || long(id) == s.skipped) continue;
        any = true;
        add(r, p + j, row);
      }
    }
  }
  return any;
}

}  // namespace

template <class T>
void fill_rows(Kernels<T>& table) {
  table.column_sum = column_sum<T>;
  table.read_f32 = read<T, float>;
  table.read_f64 = read<T, double>;
  table.read_u8 = read<T, uint8_t>;
  table.read_u16 = read<T, uint16_t>;
  table.read_i32 = read<T, int32_t>;
  table.read_i64 = read<T, int64_t>;
  table.scatter = scatter<T>;
}

STEEP_FILL_DUAL(fill_rows)

}  // namespace steep::STEEP_ISA
