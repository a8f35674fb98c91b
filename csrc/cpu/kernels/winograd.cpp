// The transforms of Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray 2016): a 4x4 tile of the
// input and a 3x3 filter give 2x2 results with 16 products in place of 36. The products are gemm.cpp.
#include "cpu/kernels/fill.h"
#include "cpu/simd/vec.h"

namespace steep::STEEP_ISA {
namespace {

// B^T d of one column of a tile.
template <class R>
[[gnu::always_inline]] inline void input_side(const R (&d)[4], R (&out)[4]) {
  out[0] = d[0] - d[2];
  out[1] = d[1] + d[2];
  out[2] = d[2] - d[1];
  out[3] = d[1] - d[3];
}

// A^T m.
template <class R>
[[gnu::always_inline]] inline void output_side(const R (&m)[4], R (&out)[2]) {
  out[0] = m[0] + m[1] + m[2];
  out[1] = m[1] - m[2] - m[3];
}

// A y.
template <class R>
[[gnu::always_inline]] inline void gradient_side(const R (&y)[2], R (&out)[4]) {
  out[0] = y[0];
  out[1] = y[0] + y[1];
  out[2] = y[0] - y[1];
  out[3] = -y[1];
}

template <class T>
void winograd_input(const T* const* rows, long channels, long tiles, T* v, long position) {
  using V = Vec<T>;
  using R = typename V::Reg;
  for (long t = 0; t < tiles; ++t) {
    for (long c = 0; c < channels; c += V::width) {
      const long at = 2 * t * channels + c;
      T* const to = v + t * channels + c;
      R half[4][4];  // by column of the tile, then row of B^T d
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        R column[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) column[i] = V::load(rows[i] + at + j * channels);
        input_side(column, half[j]);
      }
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const R row[4] = {half[0][i], half[1][i], half[2][i], half[3][i]};
        R out[4];
        input_side(row, out);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) V::store(to + (4 * i + j) * position, out[j]);
      }
    }
  }
}

template <class T>
void winograd_output(const T* m, long position, long filters, long tiles, const T* bias, bool relu,
                     bool accumulate, T* y, long y_row, long rows, long columns) {
  using V = Vec<T>;
  using R = typename V::Reg;
  for (long t = 0; t < tiles; ++t) {
    const long inside = columns - 2 * t < 2 ? 1 : 2;
    for (long f = 0; f < filters; f += V::width) {
      const T* const from = m + t * filters + f;
      R half[4][2];
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        R column[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) column[i] = V::load(from + (4 * i + j) * position);
        output_side(column, half[j]);
      }
      const R start = bias ? V::load(bias + f) : V::zero();
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        if (i >= rows) break;
        const R row[4] = {half[0][i], half[1][i], half[2][i], half[3][i]};
        R out[2];
        output_side(row, out);
#pragma GCC unroll 2
        for (int j = 0; j < 2; ++j) {
          if (j >= inside) break;
          T* const to = y + i * y_row + (2 * t + j) * filters + f;
          R value = out[j] + start;
          if (accumulate) value = value + V::load(to);
          V::store(to, relu ? V::relu(value) : value);
        }
      }
    }
  }
}

template <class T>
void winograd_gradient(const T* dy, long dy_row, long filters, long width, long tiles, long rows,
                       long columns, T* z, long position) {
  using V = Vec<T>;
  using R = typename V::Reg;
  for (long t = 0; t < tiles; ++t) {
    const bool right = columns - 2 * t >= 2, below = rows >= 2;
    for (long f = 0; f < width; f += V::width) {
      const T* const from = dy + 2 * t * filters + f;
      T* const to = z + t * width + f;
      R half[2][4];
#pragma GCC unroll 2
      for (int j = 0; j < 2; ++j) {
        const bool there = j == 0 || right;
        const R column[2] = {there ? V::load(from + j * filters) : V::zero(),
                             there && below ? V::load(from + dy_row + j * filters) : V::zero()};
        gradient_side(column, half[j]);
      }
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const R row[2] = {half[0][i], half[1][i]};
        R out[4];
        gradient_side(row, out);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) V::store(to + (4 * i + j) * position, out[j]);
      }
    }
  }
}

// G g of one column of a filter.
template <class R>
[[gnu::always_inline]] inline void filter_side(const R (&g)[3], R half, R (&out)[4]) {
  const R outer = (g[0] + g[2]) * half, middle = g[1] * half;
  out[0] = g[0];
  out[1] = outer + middle;
  out[2] = outer - middle;
  out[3] = g[2];
}

// G^T u.
template <class R>
[[gnu::always_inline]] inline void filter_gradient_side(const R (&u)[4], R half, R (&out)[3]) {
  const R sum = (u[1] + u[2]) * half;
  out[0] = u[0] + sum;
  out[1] = (u[1] - u[2]) * half;
  out[2] = sum + u[3];
}

template <class T>
void winograd_filter(const T* g, long tap, bool turned, long n, T* u, long position) {
  using V = Vec<T>;
  using R = typename V::Reg;
  const R one_half = V::set1(T(0.5));
  for (long c = 0; c < n; c += V::width) {
    R half[3][4];
#pragma GCC unroll 3
    for (int j = 0; j < 3; ++j) {
      R column[3];
#pragma GCC unroll 3
      for (int i = 0; i < 3; ++i) {
        const int at = turned ? 8 - (3 * i + j) : 3 * i + j;
        column[i] = V::load(g + at * tap + c);
      }
      filter_side(column, one_half, half[j]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const R row[3] = {half[0][i], half[1][i], half[2][i]};
      R out[4];
      filter_side(row, one_half, out);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) V::store(u + (4 * i + j) * position + c, out[j]);
    }
  }
}

template <class T>
void winograd_filter_gradient(const T* u, long position, long n, T* g, long tap, bool accumulate) {
  using V = Vec<T>;
  using R = typename V::Reg;
  const R one_half = V::set1(T(0.5));
  for (long c = 0; c < n; c += V::width) {
    R half[4][3];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      R column[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) column[i] = V::load(u + (4 * i + j) * position + c);
      filter_gradient_side(column, one_half, half[j]);
    }
#pragma GCC unroll 3
    for (int i = 0; i < 3; ++i) {
      const R row[4] = {half[0][i], half[1][i], half[2][i], half[3][i]};
      R out[3];
      filter_gradient_side(row, one_half, out);
#pragma GCC unroll 3
      for (int j = 0; j < 3; ++j) {
        T* const to = g + (3 * i + j) * tap + c;
        V::store(to, accumulate ? V::load(to) + out[j] : out[j]);
      }
    }
  }
}

}  // namespace

template <class T>
void fill_winograd(Kernels<T>& table) {
  if constexpr (sizeof(T) == sizeof(float)) {
    table.winograd_input = winograd_input<T>;
    table.winograd_output = winograd_output<T>;
    table.winograd_gradient = winograd_gradient<T>;
    table.winograd_filter = winograd_filter<T>;
    table.winograd_filter_gradient = winograd_filter_gradient<T>;
  }
}

STEEP_FILL_DUAL(fill_winograd)

}  // namespace steep::STEEP_ISA
