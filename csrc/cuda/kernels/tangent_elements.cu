// Each element by itself, in dual numbers: activations, sums, products, quotients, powers, bounds, maps by numbers and
// by rows. The formulas of activations live in activations/.
#include "cuda/kernels/tangent.cuh"
// The line above comes first.
#include "base/elements.h"
#include "cuda/kernels/tangent_values.cuh"

namespace steep::cuda {

namespace {

// value(r, c) = f of the elements of one, two or three tensors there.
template <class F> struct OfOne {
  Duals x;
  F f;
  STEEP_HD Dual operator()(int r, int c) const { return f(get(x, r, c)); }
};
template <class F> struct OfTwo {
  Duals a, b;
  F f;
  STEEP_HD Dual operator()(int r, int c) const { return f(get(a, r, c), get(b, r, c)); }
};
template <class F> struct OfThree {
  Duals a, b, d;
  F f;
  STEEP_HD Dual operator()(int r, int c) const {
    return f(get(a, r, c), get(b, r, c), get(d, r, c));
  }
};

struct Sum {
  STEEP_HD Dual operator()(Dual a, Dual b) const { return a + b; }
};
struct Difference {
  STEEP_HD Dual operator()(Dual a, Dual b) const { return a - b; }
};
struct Product {
  STEEP_HD Dual operator()(Dual a, Dual b) const { return a * b; }
};
struct Quotient {
  STEEP_HD Dual operator()(Dual a, Dual b) const { return a / b; }
};
struct Larger {
  STEEP_HD Dual operator()(Dual a, Dual b) const { return a > b || a != a ? a : b; }
};
struct Smaller {
  STEEP_HD Dual operator()(Dual a, Dual b) const { return a < b || a != a ? a : b; }
};
struct QuotientGrad {
  STEEP_HD Dual operator()(Dual dy, Dual y, Dual b) const { return -dy * y / b; }
};
struct WhereLarger {
  STEEP_HD Dual operator()(Dual a, Dual b, Dual d) const { return share(a, b, d); }
};
struct Within {
  double low, high;
  STEEP_HD Dual operator()(Dual x) const { return x.v < low ? low : x.v > high ? high : x; }
};
struct WithinGrad {
  double low, high;
  STEEP_HD Dual operator()(Dual dy, Dual x) const { return x.v < low || x.v > high ? 0 : dy; }
};
struct Zero {
  STEEP_HD Dual operator()(Dual) const { return 0; }
};

// x^exponent: by products, roots, or neither.
struct PowerOf {
  double exponent;
  int factors;  // -1: no whole number, or too large a one
  explicit PowerOf(double e) : exponent(e), factors(-1) {
    const double size = e < 0 ? -e : e;
    if (size <= kMostFactors && size == static_cast<int>(size)) factors = static_cast<int>(size);
  }
  STEEP_HD Dual operator()(Dual x) const {
    if (factors >= 0) {
      const Dual y = whole_power(x, factors);
      return exponent >= 0 ? y : Dual(1) / y;
    }
    if (exponent == 0.5) return sqrt_(x);
    if (exponent == -0.5) return Dual(1) / sqrt_(x);
    return any_power(x, exponent);
  }
};
struct PowerGrad {
  PowerOf power;  // of the exponent less 1
  double exponent;
  STEEP_HD Dual operator()(Dual dy, Dual x) const { return dy * (Dual(exponent) * power(x)); }
};

struct Mapped {
  double scale, shift;
  STEEP_HD Dual operator()(Dual x) const { return fma_(Dual(scale), x, Dual(shift)); }
};
struct MappedOfStep {
  Now now;
  Duals x;
  DualLine line;
  __device__ __forceinline__ Dual operator()(int r, int c) const {
    return fma_(Dual(line.scale * scalar_of(now, line.scalar)), get(x, r, c), Dual(line.shift));
  }
};

// Numbers of a row, dual or plain.
STEEP_HD Dual number(const DualNumber* row, int c) { return get(row + c); }
STEEP_HD Dual number(const double* row, int c) { return row[c]; }
template <class N> struct RowAdded {
  Duals x;
  const N* row;
  Divisor period;
  STEEP_HD Dual operator()(int r, int c) const {
    return get(x, r, c) + number(row, period.of(c).rest);
  }
};
template <class N> struct RowTimes {
  Duals x;
  const N* row;
  Divisor period;
  STEEP_HD Dual operator()(int r, int c) const {
    return get(x, r, c) * number(row, period.of(c).rest);
  }
};

using Activate = void (*)(const Place&, double, const Duals&, const Duals&);
template <class F> void value_of(const Place& at, double alpha, const Duals& x, const Duals& y) {
  write_each(at, y, false, OfOne<Value<F>>{x, {alpha}});
}
template <class... F> Activate value_by(int index, List<F...>) {
  static constexpr Activate all[] = {value_of<F>...};
  return all[index];
}
using ActivateGrad = void (*)(const Place&, double, const Duals&, const Duals&, const Duals&, bool);
template <class F>
void grad_of(const Place& at, double alpha, const Duals& dy, const Duals& stored, const Duals& dx,
             bool accumulate) {
  write_each(at, dx, accumulate, OfTwo<Grad<F>>{dy, stored, {alpha}});
}
template <class... F> ActivateGrad grad_by(int index, List<F...>) {
  static constexpr ActivateGrad all[] = {grad_of<F>...};
  return all[index];
}

}  // namespace

void activate(const Place& at, int f, double alpha, const Duals& x, const Duals& y) {
  value_by(f, activations::All{})(at, alpha, x, y);
}

void activate_grad(const Place& at, int f, double alpha, const Duals& dy, const Duals& stored,
                   const Duals& dx, bool accumulate) {
  grad_by(f, activations::All{})(at, alpha, dy, stored, dx, accumulate);
}

void combine(const Place& at, Pair how, const Duals& a, const Duals& b, const Duals& y,
             bool accumulate) {
  const auto write = [&]<class F>(F f) { write_each(at, y, accumulate, OfTwo<F>{a, b, f}); };
  switch (how) {
    case Pair::kAdd: return write(Sum{});
    case Pair::kSubtract: return write(Difference{});
    case Pair::kMultiply: return write(Product{});
    case Pair::kDivide: return write(Quotient{});
    case Pair::kMaximum: return write(Larger{});
    case Pair::kMinimum: return write(Smaller{});
  }
}

void affine(const Place& at, const DualLine& line, const Duals& x, const Duals& y,
            bool accumulate) {
  if (line.scalar >= 0) return write_each(at, y, accumulate, MappedOfStep{at.now, x, line});
  write_each(at, y, accumulate, OfOne<Mapped>{x, {line.scale, line.shift}});
}

void add_row(const Place& at, const Duals& x, const DualNumber* row, int period, const Duals& y) {
  write_each(at, y, false, RowAdded<DualNumber>{x, row, Divisor(period)});
}
void add_row(const Place& at, const Duals& x, const double* row, int period, const Duals& y) {
  write_each(at, y, false, RowAdded<double>{x, row, Divisor(period)});
}
void multiply_row(const Place& at, const Duals& x, const DualNumber* row, int period,
                  const Duals& y, bool accumulate) {
  write_each(at, y, accumulate, RowTimes<DualNumber>{x, row, Divisor(period)});
}
void multiply_row(const Place& at, const Duals& x, const double* row, int period, const Duals& y,
                  bool accumulate) {
  write_each(at, y, accumulate, RowTimes<double>{x, row, Divisor(period)});
}

void divide_grad(const Place& at, const Duals& dy, const Duals& y, const Duals& b, const Duals& out,
                 bool accumulate) {
  write_each(at, out, accumulate, OfThree<QuotientGrad>{dy, y, b, {}});
}

void power(const Place& at, double exponent, const Duals& x, const Duals& y, bool accumulate) {
  write_each(at, y, accumulate, OfOne<PowerOf>{x, PowerOf(exponent)});
}

void power_grad(const Place& at, double exponent, const Duals& dy, const Duals& x, const Duals& dx,
                bool accumulate) {
  if (exponent == 0) return write_each(at, dx, accumulate, OfOne<Zero>{x, {}});
  write_each(at, dx, accumulate, OfTwo<PowerGrad>{dy, x, {PowerOf(exponent - 1), exponent}});
}

void keep_within(const Place& at, double low, double high, const Duals& x, const Duals& y,
                 bool accumulate) {
  write_each(at, y, accumulate, OfOne<Within>{x, {low, high}});
}

void keep_within_grad(const Place& at, double low, double high, const Duals& dy, const Duals& x,
                      const Duals& dx, bool accumulate) {
  write_each(at, dx, accumulate, OfTwo<WithinGrad>{dy, x, {low, high}});
}

void where_larger(const Place& at, const Duals& a, const Duals& b, const Duals& d, const Duals& y,
                  bool accumulate) {
  write_each(at, y, accumulate, OfThree<WhereLarger>{a, b, d, {}});
}

}  // namespace steep::cuda
