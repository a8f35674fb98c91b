// Activations, sums and products of elements, maps by a row, copies of columns and images. The formulas of
// activations live in activations/.
#include "activations/list.h"
#include "cuda/kernels/each.cuh"

namespace steep::cuda {

namespace {

template <class F> struct Value {
  View x;
  float alpha;
  STEEP_HD float operator()(int r, int c) const {
    return F::template value<float>(at(x, r, c), alpha);
  }
};
template <class F> struct Grad {
  View dy, stored;
  float alpha;
  STEEP_HD float operator()(int r, int c) const {
    return F::template grad<float>(at(dy, r, c), at(stored, r, c), alpha);
  }
};
struct Sum {
  View a, b;
  STEEP_HD float operator()(int r, int c) const { return at(a, r, c) + at(b, r, c); }
};
struct Difference {
  View a, b;
  STEEP_HD float operator()(int r, int c) const { return at(a, r, c) - at(b, r, c); }
};
struct Product {
  View a, b;
  STEEP_HD float operator()(int r, int c) const { return at(a, r, c) * at(b, r, c); }
};
struct Quotient {
  View a, b;
  STEEP_HD float operator()(int r, int c) const { return at(a, r, c) / at(b, r, c); }
};
struct Larger {
  View a, b;
  STEEP_HD float operator()(int r, int c) const {
    const float x = at(a, r, c), y = at(b, r, c);
    return x > y || x != x ? x : y;
  }
};
struct Smaller {
  View a, b;
  STEEP_HD float operator()(int r, int c) const {
    const float x = at(a, r, c), y = at(b, r, c);
    return x < y || x != x ? x : y;
  }
};
struct Map {
  View x;
  float scale, shift;
  STEEP_HD float operator()(int r, int c) const { return fma_(scale, at(x, r, c), shift); }
};
struct MapOfStep {
  Now now;
  View x;
  Line line;
  __device__ __forceinline__ float operator()(int r, int c) const {
    const double* const row = now.limits + static_cast<long>(here(now)) * now.columns;
    const double scale = line.scale * row[now.scalars + line.scalar];
    return fma_(static_cast<float>(scale), at(x, r, c), line.shift);
  }
};
struct RowAdded {
  View x;
  const float* row;
  int period;
  STEEP_HD float operator()(int r, int c) const { return at(x, r, c) + row[c % period]; }
};
struct RowTimes {
  View x;
  const float* row;
  int period;
  STEEP_HD float operator()(int r, int c) const { return at(x, r, c) * row[c % period]; }
};

struct Copied {  // a column of the copy is one of each pixel's
  Columns which;
  View x, y;
  bool accumulate;
  STEEP_HD void operator()(int r, int c) const {
    const int pixel = c / which.columns, column = c % which.columns;
    const int from = pixel * (x.columns / which.pixels) + which.from + column;
    float* const to = y.data + r * y.ld + pixel * (y.columns / which.pixels) + which.to + column;
    const float value = at(x, r, from);
    *to = accumulate ? *to + value : value;
  }
};

// Where an element of the small image lies in the large one.
STEEP_HD int outside(const Frame& f, int c) {
  const int channel = c % f.small[2], pixel = c / f.small[2];
  const int i = pixel / f.small[1] + f.before[0], j = pixel % f.small[1] + f.before[1];
  return (i * f.large[1] + j) * f.large[2] + channel + f.before[2];
}
struct Padded {
  Frame f;
  View x;
  STEEP_HD float operator()(int r, int c) const {
    const int channel = c % f.large[2] - f.before[2], pixel = c / f.large[2];
    const int i = pixel / f.large[1] - f.before[0], j = pixel % f.large[1] - f.before[1];
    const bool inside = channel >= 0 && channel < f.small[2] && i >= 0 && i < f.small[0] &&
                        j >= 0 && j < f.small[1];
    return inside ? at(x, r, (i * f.small[1] + j) * f.small[2] + channel) : 0.0f;
  }
};
struct Cropped {
  Frame f;
  View x;
  STEEP_HD float operator()(int r, int c) const { return at(x, r, outside(f, c)); }
};

using Activate = void (*)(const Place&, float, const View&, const View&);
template <class F> void value_of(const Place& p, float alpha, const View& x, const View& y) {
  write_each(p, y, false, Value<F>{x, alpha});
}
template <class... F> Activate value_by(int index, List<F...>) {
  static constexpr Activate all[] = {value_of<F>...};
  return all[index];
}
using ActivateGrad = void (*)(const Place&, float, const View&, const View&, const View&, bool);
template <class F>
void grad_of(const Place& p, float alpha, const View& dy, const View& stored, const View& dx,
             bool accumulate) {
  write_each(p, dx, accumulate, Grad<F>{dy, stored, alpha});
}
template <class... F> ActivateGrad grad_by(int index, List<F...>) {
  static constexpr ActivateGrad all[] = {grad_of<F>...};
  return all[index];
}

// Half a warp a position; sums fold as the CPU's.
__global__ void __launch_bounds__(64) softmax_rows(int rows, int positions, View x, View y) {
  const Part at(rows, positions, x.columns);
  const float* const in = at.of(x);
  float* const out = at.of(y);
  float top = -__builtin_huge_valf();
  for (int c = at.lane; c < at.columns; c += kHalf) top = max_(in[c], top);
#pragma unroll
  for (int half = kHalf / 2; half > 0; half /= 2)
    top = max_(__shfl_down_sync(kAll, top, half, kHalf), top);
  top = __shfl_sync(kAll, top, 0, kHalf);
  float sum = 0;
  for (int c = at.lane; c < at.columns; c += kHalf) {
    const float e = exp_(in[c] - top);
    out[c] = e;
    sum += e;
  }
  const float scale = 1.0f / fold_lanes(sum);
  for (int c = at.lane; c < at.columns; c += kHalf) out[c] *= scale;
}

__global__ void __launch_bounds__(64)
    softmax_grad_rows(int rows, int positions, View dy, View y, View dx, bool accumulate) {
  const Part at(rows, positions, y.columns);
  const float *const up = at.of(dy), *const out = at.of(y);
  float* const down = at.of(dx);
  float sum = 0;
  for (int c = at.lane; c < at.columns; c += kHalf) sum = fma_(up[c], out[c], sum);
  const float dot = fold_lanes(sum);
  for (int c = at.lane; c < at.columns; c += kHalf) {
    const float value = out[c] * (up[c] - dot);
    down[c] = accumulate ? down[c] + value : value;
  }
}

}  // namespace

void activate(const Place& at, int f, float alpha, const View& x, const View& y) {
  value_by(f, activations::All{})(at, alpha, x, y);
}

void activate_grad(const Place& at, int f, float alpha, const View& dy, const View& stored,
                   const View& dx, bool accumulate) {
  grad_by(f, activations::All{})(at, alpha, dy, stored, dx, accumulate);
}

void combine(const Place& at, Pair how, const View& a, const View& b, const View& y,
             bool accumulate) {
  switch (how) {
    case Pair::kAdd: return write_each(at, y, accumulate, Sum{a, b});
    case Pair::kSubtract: return write_each(at, y, accumulate, Difference{a, b});
    case Pair::kMultiply: return write_each(at, y, accumulate, Product{a, b});
    case Pair::kDivide: return write_each(at, y, accumulate, Quotient{a, b});
    case Pair::kMaximum: return write_each(at, y, accumulate, Larger{a, b});
    case Pair::kMinimum: return write_each(at, y, accumulate, Smaller{a, b});
  }
}

void affine(const Place& at, const Line& line, const View& x, const View& y, bool accumulate) {
  if (line.scalar >= 0) return write_each(at, y, accumulate, MapOfStep{at.now, x, line});
  write_each(at, y, accumulate, Map{x, static_cast<float>(line.scale), line.shift});
}

void add_row(const Place& at, const View& x, const float* row, int period, const View& y) {
  write_each(at, y, false, RowAdded{x, row, period});
}

void multiply_row(const Place& at, const View& x, const float* row, int period, const View& y,
                  bool accumulate) {
  write_each(at, y, accumulate, RowTimes{x, row, period});
}

void copy_columns(const Place& at, const Columns& which, const View& x, const View& y,
                  bool accumulate) {
  each(at, which.columns * which.pixels, Copied{which, x, y, accumulate});
}

void pad(const Place& at, const Frame& frame, const View& x, const View& y) {
  write_each(at, y, false, Padded{frame, x});
}

void crop(const Place& at, const Frame& frame, const View& x, const View& y, bool accumulate) {
  write_each(at, y, accumulate, Cropped{frame, x});
}

void softmax(const Place& at, int positions, const View& x, const View& y) {
  const long parts = static_cast<long>(at.rows) * positions;
  start(at.stream, dim3(blocks_of(parts, 64 / kHalf)), dim3(64), softmax_rows, at.rows, positions,
        x, y);
}

void softmax_grad(const Place& at, int positions, const View& dy, const View& y, const View& dx,
                  bool accumulate) {
  const long parts = static_cast<long>(at.rows) * positions;
  start(at.stream, dim3(blocks_of(parts, 64 / kHalf)), dim3(64), softmax_grad_rows, at.rows,
        positions, dy, y, dx, accumulate);
}

}  // namespace steep::cuda
