// Operands of the tiled product (gemm.cuh says what they are): rows of a batch, rows turned, weights in panels.
#pragma once
#include "cuda/kernels/divisor.h"
#include "cuda/kernels/gemm.cuh"

namespace steep::cuda {

struct Strided {  // elements of a line are `step` apart
  const float* data;
  long step;
};

// The rows of a batch, or their positions one after the other: of a row they lie dense.
template <class T> struct Dense {
  T* data;
  long ld;
  int width;
  Divisor by_positions;
  STEEP_HD long offset(int m) const {
    const Divisor::Parts at = by_positions.of(m);
    return at.quotient * ld + at.rest * width;
  }
  STEEP_HD T* row(int m) const { return data + offset(m); }
};
template <class T = float> Dense<T> dense(const View& x, int positions) {
  return {room_of<T>(x), x.ld, x.columns / positions, Divisor(positions)};
}
// May every position be read four numbers at once?
template <class T> bool aligned(const Dense<T>& x) {
  return aligned(x.data, x.ld) && (x.by_positions.by() == 1 || x.width % 4 == 0);
}

template <class T> struct RowMajor {  // A(m, k)
  static constexpr bool kFastK = true;
  using Number = T;
  using Line = const T*;
  Dense<T> x;
  bool whole;  // lines may be read four at once
  explicit RowMajor(const Dense<T>& of) : x(of), whole(aligned(of)) {}
  STEEP_HD Line line(int m) const { return x.row(m); }
  STEEP_HD typename FourOf<T>::type four(Line line, int k, int left) const {
    return four_at(line + k, whole, left);
  }
};
template <class T> struct Beside {  // neighbours of which there are `left`
  const T* data;
  int left;
};
template <class T> struct ColumnMajor {  // A(m, k) = x(k, m), or B(k, n) = x(k, n)
  static constexpr bool kFastK = false;
  using Number = T;
  using Line = const T*;
  Dense<T> x;
  bool whole;
  explicit ColumnMajor(const Dense<T>& of) : x(of), whole(aligned(of)) {}
  STEEP_HD Beside<T> lines(int m, int all) const { return {x.data + m, all - m}; }
  STEEP_HD typename FourOf<T>::type four(const Beside<T>& of, int k) const {
    return four_at(of.data + x.offset(k), whole, of.left);
  }
};
// An operand as floats, for a product that stays exact.
template <class A> struct Widened : A {
  using Number = float;
  explicit Widened(const A& of) : A(of) {}
  template <class... At> STEEP_HD Four four(const At&... at) const {
    return widened(A::four(at...));
  }
};
template <class A> auto as_floats(const A& a) {
  if constexpr (kSomeBrains<A>)
    return Widened<A>(a);
  else
    return a;
}
// Where element (row, column) of a matrix in panels lies.
STEEP_HD long in_panels(const Panels& p, int row, int column) { return p.at(row, column); }
struct Strip {  // four columns of a panel: whole, since panels are padded by 0
  const float* data;
  int step;
};
struct Packed {  // B(k, n) = w(k, n)
  static constexpr bool kFastK = false;
  using Line = Strided;
  Weight w;
  STEEP_HD Line line(int n) const {
    const int panel = n / static_cast<int>(kPanel);
    return {w.data + w.panels.offset(panel) + n % static_cast<int>(kPanel), w.panels.width(panel)};
  }
  STEEP_HD Strip lines(int n, int all) const {
    const Strided of = line(n < all ? n : 0);  // what lies beyond is not looked at
    return {n < all ? of.data : nullptr, static_cast<int>(of.step)};
  }
  STEEP_HD Four four(const Strip& of, int k) const {
    return of.data ? *reinterpret_cast<const Four*>(of.data + static_cast<long>(k) * of.step)
                   : Four{};
  }
};
struct PackedTurned {  // B(k, n) = w(n, k)
  static constexpr bool kFastK = true;
  using Line = int;
  Weight w;
  STEEP_HD Line line(int n) const { return n; }
  STEEP_HD Four four(Line n, int k, int left) const {
    return four_at(w.data + in_panels(w.panels, n, left > 0 ? k : 0), true, left);
  }
};

// An epilogue: the product is a weight's gradient.
struct AddedPacked {
  static constexpr bool aligned = true;  // panels are
  Weight w;
  bool accumulate;
  STEEP_HD float* place(int m, int n) const { return w.data + in_panels(w.panels, m, n); }
  STEEP_HD float init(int m, int n) const { return accumulate ? *place(m, n) : 0.0f; }
  STEEP_HD float value(int, int, float sum) const { return sum; }
};

}  // namespace steep::cuda
