// GEMM over one panel of columns, and the transpose; compiled once per instruction set. Larger
// products are loops around these: gemm.cpp of the folder above, and the dense layers.
#include "cpu/kernels/gemm.h"

#include <utility>

#include "cpu/simd/tile.h"

namespace steep::STEEP_ISA {
namespace {

template <class T>
using TileCall = void (*)(const GemmPanel<T>&, const Stretch&, long, long);

// The tiles of one width, by their number of rows.
template <class T, int N, bool Transposed, int MaxRows,
          class = std::make_integer_sequence<int, MaxRows>>
struct Tiles;
template <class T, int N, bool Transposed, int MaxRows, int... R>
struct Tiles<T, N, Transposed, MaxRows, std::integer_sequence<int, R...>> {
  static constexpr TileCall<T> by_rows[] = {tile<T, Vec<T>, R + 1, N, Transposed>...};
};

// Rows a multiple of 4096 bytes apart share one set of the first-level cache: 8 lines at least,
// one of them for B.
constexpr long kSetBytes = 4096, kSetRows = 7;

// Passes over the rows in tiles whose heights differ by one at most.
template <class T>
void sweep_rows(const GemmPanel<T>& p, const Stretch& s, const TileCall<T>* by_rows, long max_rows,
                long column) {
  if (!p.a_transposed && p.lda * long(sizeof(T)) % kSetBytes == 0 && max_rows > kSetRows) {
    max_rows = kSetRows;
  }
  const long tiles = (p.rows + max_rows - 1) / max_rows;
  const long height = p.rows / tiles, taller = p.rows % tiles;
  long row = 0;
  for (long t = 0; t < tiles; ++t) {
    const long rows = height + (t < taller);
    by_rows[rows - 1](p, s, row, column);
    row += rows;
  }
}

// B of one stretch (256 KB) stays in the second-level cache while the rows pass over it. Shorter
// ones, for the first-level cache, measured slower: B streams fast enough, and C is then reloaded
// more often.
constexpr long kStretch = 2048;

template <class T, int N, bool Transposed, int MaxRows>
void panel(const GemmPanel<T>& p) {
  const TileCall<T>* by_rows = Tiles<T, N, Transposed, MaxRows>::by_rows;
  for (long column = 0; column < p.columns; column += N * Vec<T>::width) {
    if (p.rows <= MaxRows || p.count * p.depth <= kStretch) {
      sweep_rows(p, Stretch{0, p.count, 0, p.depth, true, true}, by_rows, MaxRows, column);
      continue;
    }
    const long terms = p.depth >= kStretch ? 1 : kStretch / p.depth;
    for (long i = 0; i < p.count; i += terms) {
      const long i1 = i + terms < p.count ? i + terms : p.count;
      for (long k = 0; k < p.depth; k += kStretch) {
        const long k1 = k + kStretch < p.depth ? k + kStretch : p.depth;
        const Stretch s{i, i1, k, k1, i + k == 0, i1 == p.count && k1 == p.depth};
        sweep_rows(p, s, by_rows, MaxRows, column);
      }
    }
  }
}

}  // namespace

template <class T>
void gemm_panel(const GemmPanel<T>& p) {
  if (p.rows <= 0) return;
  if constexpr (Vec<T>::width == kLane) {
    if (p.columns == kLane) {
      return p.a_transposed ? panel<T, 1, true, Shape<T>::slim_rows>(p)
                            : panel<T, 1, false, Shape<T>::slim_rows>(p);
    }
  }
  p.a_transposed ? panel<T, 2, true, Shape<T>::rows>(p) : panel<T, 2, false, Shape<T>::rows>(p);
}

// V::width rows of four columns.
template <class V, class T>
[[gnu::always_inline]] inline void transpose_strip(const T* src, long lds, T* dst, long ldd) {
  typename V::Reg w[4];
  for (int i = 0; i < 4; ++i) w[i] = V::load_lanes(src + i * lds, lds);
  V::transpose4(w);
  for (int i = 0; i < 4; ++i) V::store(dst + i * ldd, w[i]);
}

template <class T>
void transpose(const T* src, long lds, T* dst, long ldd, long rows, long columns) {
  using V = Vec<T>;
  long whole_rows = 0, whole_columns = 0;
  if constexpr (V::width >= 4) {
    whole_rows = rows / V::width * V::width;
    whole_columns = columns / 4 * 4;
    for (long r0 = 0; r0 < whole_rows; r0 += kLane) {  // whole cache lines of dst at a time
      const long r1 = r0 + kLane < whole_rows ? r0 + kLane : whole_rows;
      for (long c = 0; c < whole_columns; c += 4) {
        for (long r = r0; r < r1; r += V::width)
          transpose_strip<V>(src + r * lds + c, lds, dst + c * ldd + r, ldd);
      }
    }
  }
  for (long c = 0; c < columns; ++c) {
    for (long r = c < whole_columns ? whole_rows : 0; r < rows; ++r)
      dst[c * ldd + r] = src[r * lds + c];
  }
}

#define STEEP_GEMM(T)                               \
  template void gemm_panel<T>(const GemmPanel<T>&); \
  template void transpose<T>(const T*, long, T*, long, long, long);
STEEP_GEMM(float)
STEEP_GEMM(double)
#if STEEP_PASTE(STEEP_ID_, STEEP_ISA) == STEEP_ID_portable
STEEP_GEMM(Dual)
#endif
#undef STEEP_GEMM

}  // namespace steep::STEEP_ISA
