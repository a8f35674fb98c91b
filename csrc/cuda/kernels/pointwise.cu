// Activations, sums and products of elements, maps by a row, copies of columns and images. The formulas of
// activations live in activations/.
#include "activations/list.h"
#include "cuda/kernels/each.cuh"

namespace steep::cuda {

namespace {

template <class F, class By> struct Value {
  View x;
  float alpha;
  STEEP_HD float operator()(int r, int c) const {
    return F::template value<float>(at<By>(x, r, c), alpha);
  }
};
template <class F, class By> struct Grad {
  View dy, stored;
  float alpha;
  STEEP_HD float operator()(int r, int c) const {
    return F::template grad<float>(at<By>(dy, r, c), at<By>(stored, r, c), alpha);
  }
};
template <class By> struct Sum {
  View a, b;
  STEEP_HD float operator()(int r, int c) const { return at<By>(a, r, c) + at<By>(b, r, c); }
};
// Two numbers of bfloat16 are half of what a thread may read at once: it takes four.
struct SumOfFours : Sum<Either> {
  bool whole() const { return aligned(a) && aligned(b); }
  STEEP_HD Four four(int r, int c) const {
    const Four x = Either::four(a, r * a.ld + c), y = Either::four(b, r * b.ld + c);
    Four sum;
#pragma unroll
    for (int i = 0; i < 4; ++i) sum.of[i] = x.of[i] + y.of[i];
    return sum;
  }
};
struct ReluGradOfFours : Grad<activations::ReLU, Either> {
  bool whole() const { return aligned(dy) && aligned(stored); }
  STEEP_HD Four four(int r, int c) const {
    const Four up = Either::four(dy, r * dy.ld + c), of = Either::four(stored, r * stored.ld + c);
    Four down;
#pragma unroll
    for (int i = 0; i < 4; ++i)
      down.of[i] = activations::ReLU::grad<float>(up.of[i], of.of[i], alpha);
    return down;
  }
};
template <class By> struct Difference {
  View a, b;
  STEEP_HD float operator()(int r, int c) const { return at<By>(a, r, c) - at<By>(b, r, c); }
};
template <class By> struct Product {
  View a, b;
  STEEP_HD float operator()(int r, int c) const { return at<By>(a, r, c) * at<By>(b, r, c); }
};
template <class By> struct Quotient {
  View a, b;
  STEEP_HD float operator()(int r, int c) const { return at<By>(a, r, c) / at<By>(b, r, c); }
};
template <class By> struct Larger {
  View a, b;
  STEEP_HD float operator()(int r, int c) const {
    const float x = at<By>(a, r, c), y = at<By>(b, r, c);
    return x > y || x != x ? x : y;
  }
};
template <class By> struct Smaller {
  View a, b;
  STEEP_HD float operator()(int r, int c) const {
    const float x = at<By>(a, r, c), y = at<By>(b, r, c);
    return x < y || x != x ? x : y;
  }
};
template <class By> struct Map {
  View x;
  float scale, shift;
  STEEP_HD float operator()(int r, int c) const { return fma_(scale, at<By>(x, r, c), shift); }
};
struct MapOfFours : Map<Either> {
  bool whole() const { return aligned(x); }
  STEEP_HD Four four(int r, int c) const {
    Four y = Either::four(x, r * x.ld + c);
#pragma unroll
    for (int i = 0; i < 4; ++i) y.of[i] = fma_(scale, y.of[i], shift);
    return y;
  }
};
template <class By> struct MapOfStep {
  Now now;
  View x;
  Line line;
  __device__ __forceinline__ float operator()(int r, int c) const {
    const double* const row = now.limits + static_cast<long>(here(now)) * now.columns;
    const double scale = line.scale * row[now.scalars + line.scalar];
    return fma_(static_cast<float>(scale), at<By>(x, r, c), line.shift);
  }
};
template <class By> struct RowAdded {
  View x;
  const float* row;
  int period;
  STEEP_HD float operator()(int r, int c) const { return at<By>(x, r, c) + row[c % period]; }
};
template <class By> struct RowTimes {
  View x;
  const float* row;
  int period;
  STEEP_HD float operator()(int r, int c) const { return at<By>(x, r, c) * row[c % period]; }
};

template <class By> struct Copied {  // a column of the copy is one of each pixel's
  Columns which;
  View x, y;
  bool accumulate;
  STEEP_HD void operator()(int r, int c) const {
    const int pixel = c / which.columns, column = c % which.columns;
    const int from = pixel * (x.columns / which.pixels) + which.from + column;
    const long to = r * y.ld + pixel * (y.columns / which.pixels) + which.to + column;
    const float value = at<By>(x, r, from);
    By::put(y, to, accumulate ? By::get(y, to) + value : value);
  }
};

using Activate = void (*)(const Place&, float, const View&, const View&);
template <class F> void value_of(const Place& p, float alpha, const View& x, const View& y) {
  with_storage([&]<class By>(By) { write_each<By>(p, y, false, Value<F, By>{x, alpha}); }, x, y);
}
template <class... F> Activate value_by(int index, List<F...>) {
  static constexpr Activate all[] = {value_of<F>...};
  return all[index];
}
using ActivateGrad = void (*)(const Place&, float, const View&, const View&, const View&, bool);
template <class F>
void grad_of(const Place& p, float alpha, const View& dy, const View& stored, const View& dx,
             bool accumulate) {
  with_storage(
      [&]<class By>(By) {
        const Grad<F, By> grad{dy, stored, alpha};
        if constexpr (std::is_same_v<Grad<F, By>, Grad<activations::ReLU, Either>>)
          write_fours<By>(p, dx, accumulate, ReluGradOfFours{grad});
        else
          write_each<By>(p, dx, accumulate, grad);
      },
      dy, stored, dx);
}
template <class... F> ActivateGrad grad_by(int index, List<F...>) {
  static constexpr ActivateGrad all[] = {grad_of<F>...};
  return all[index];
}

// Half a warp a position; sums fold as the CPU's.
template <class By>
__global__ void __launch_bounds__(64) softmax_rows(int rows, int positions, View x, View y) {
  const Part at(rows, positions, x.columns);
  const long in = at.place(x), out = at.place(y);
  float top = -__builtin_huge_valf();
  for (int c = at.lane; c < at.columns; c += kHalf) top = max_(By::get(x, in + c), top);
#pragma unroll
  for (int half = kHalf / 2; half > 0; half /= 2)
    top = max_(__shfl_down_sync(kAll, top, half, kHalf), top);
  top = __shfl_sync(kAll, top, 0, kHalf);
  constexpr bool kKept =
      std::is_same_v<By, Floats>;  // or else they are made again: not rounded twice
  float sum = 0;
  for (int c = at.lane; c < at.columns; c += kHalf) {
    const float e = exp_(By::get(x, in + c) - top);
    if constexpr (kKept) By::put(y, out + c, e);
    sum += e;
  }
  const float scale = 1.0f / fold_lanes(sum);
  for (int c = at.lane; c < at.columns; c += kHalf) {
    const float e = kKept ? By::get(y, out + c) : exp_(By::get(x, in + c) - top);
    By::put(y, out + c, e * scale);
  }
}

template <class By>
__global__ void __launch_bounds__(64)
    softmax_grad_rows(int rows, int positions, View dy, View y, View dx, bool accumulate) {
  const Part at(rows, positions, y.columns);
  const long up = at.place(dy), out = at.place(y), down = at.place(dx);
  float sum = 0;
  for (int c = at.lane; c < at.columns; c += kHalf)
    sum = fma_(By::get(dy, up + c), By::get(y, out + c), sum);
  const float dot = fold_lanes(sum);
  for (int c = at.lane; c < at.columns; c += kHalf) {
    const float value = By::get(y, out + c) * (By::get(dy, up + c) - dot);
    By::put(dx, down + c, accumulate ? By::get(dx, down + c) + value : value);
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

namespace {

void add(const Place& at, const View& a, const View& b, const View& y, bool accumulate) {
  a.bfloat16 || b.bfloat16 || y.bfloat16
      ? write_fours<Either>(at, y, accumulate, SumOfFours{{a, b}})
      : write_each(at, y, accumulate, Sum<Floats>{a, b});
}

}  // namespace

void combine(const Place& at, Pair how, const View& a, const View& b, const View& y,
             bool accumulate) {
  switch (how) {
    case Pair::kAdd: return add(at, a, b, y, accumulate);
    case Pair::kSubtract: return write_values<Difference>(at, y, accumulate, a, b);
    case Pair::kMultiply: return write_values<Product>(at, y, accumulate, a, b);
    case Pair::kDivide: return write_values<Quotient>(at, y, accumulate, a, b);
    case Pair::kMaximum: return write_values<Larger>(at, y, accumulate, a, b);
    case Pair::kMinimum: return write_values<Smaller>(at, y, accumulate, a, b);
  }
}

void affine(const Place& at, const Line& line, const View& x, const View& y, bool accumulate) {
  if (line.scalar >= 0) return write_values<MapOfStep>(at, y, accumulate, at.now, x, line);
  const float scale = static_cast<float>(line.scale);
  x.bfloat16 || y.bfloat16
      ? write_fours<Either>(at, y, accumulate, MapOfFours{{x, scale, line.shift}})
      : write_each(at, y, accumulate, Map<Floats>{x, scale, line.shift});
}

void add_row(const Place& at, const View& x, const float* row, int period, const View& y) {
  write_values<RowAdded>(at, y, false, x, row, period);
}

void multiply_row(const Place& at, const View& x, const float* row, int period, const View& y,
                  bool accumulate) {
  write_values<RowTimes>(at, y, accumulate, x, row, period);
}

void copy_columns(const Place& at, const Columns& which, const View& x, const View& y,
                  bool accumulate) {
  with_storage(
      [&]<class By>(By) {
        each(at, which.columns * which.pixels, Copied<By>{which, x, y, accumulate});
      },
      x, y);
}

void softmax(const Place& at, int positions, const View& x, const View& y) {
  const long parts = static_cast<long>(at.rows) * positions;
  with_storage(
      [&]<class By>(By) {
        start(at.stream, dim3(blocks_of(parts, 64 / kHalf)), dim3(64), softmax_rows<By>, at.rows,
              positions, x, y);
      },
      x, y);
}

void softmax_grad(const Place& at, int positions, const View& dy, const View& y, const View& dx,
                  bool accumulate) {
  const long parts = static_cast<long>(at.rows) * positions;
  with_storage(
      [&]<class By>(By) {
        start(at.stream, dim3(blocks_of(parts, 64 / kHalf)), dim3(64), softmax_grad_rows<By>,
              at.rows, positions, dy, y, dx, accumulate);
      },
      dy, y, dx);
}

}  // namespace steep::cuda
