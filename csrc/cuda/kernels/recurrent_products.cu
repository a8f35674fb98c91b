// The products around the steps of recurrent layers: gates as far as x makes them, the gradient of x, those of weights
// over all positions of a batch; and U^T.
#include "cuda/kernels/each.cuh"
#include "cuda/kernels/product.cuh"
#include "cuda/kernels/recurrent.cuh"

namespace steep::cuda {

namespace {

// The numbers at `first` of every record, row after row and position after position.
Dense<float> of_records(const Steps& s, const View& tape, int first) {
  return {tape.data + first, tape.ld, s.record, Divisor(s.steps)};
}

struct IntoRecords {  // gates of x, from what is added to them of both biases
  Dense<float> to;
  Biases biases;
  int both;  // gates before this one have both
  STEEP_HD static float of(const float* bias, int n) { return bias ? bias[n] : 0.0f; }
  STEEP_HD float init(int, int n) const {
    const float x = of(biases.of_x, n);
    return n < both ? x + of(biases.of_h, n) : x;
  }
  STEEP_HD void store(int m, int n, float sum) const { to.row(m)[n] = sum; }
};

// Has a row this position? All have where no lengths are given.
STEEP_HD bool counts(const View& lengths, int r, int position) {
  return !lengths.data || static_cast<float>(position + 1) <= lengths.data[r * lengths.ld];
}

struct IntoPositions {  // 0 where a row has no such step
  View lengths;
  Dense<float> to;
  bool accumulate;
  STEEP_HD float init(int m, int n) const { return accumulate ? to.row(m)[n] : 0.0f; }
  STEEP_HD void store(int m, int n, float sum) const {
    const Divisor::Parts at = to.by_positions.of(m);
    const bool there = counts(lengths, at.quotient, at.rest);
    if (there || !accumulate) to.row(m)[n] = there ? sum : 0.0f;
  }
};

// A(m, k) or B(k, n) of a product over all positions. Those that do not count are such that the other side's make
// a product of -0, to which every sum is what it was.
struct Position {
  static constexpr bool kFastK = false;
  Dense<float> x;
  View lengths;
  float blank;
  bool whole;
  Position(const Dense<float>& of, const View& counts, float instead)
      : x(of), lengths(counts), blank(instead), whole(aligned(of)) {}
  STEEP_HD Beside<float> lines(int m, int all) const { return {x.data + m, all - m}; }
  STEEP_HD Four four(const Beside<float>& of, int k) const {
    const Divisor::Parts at = x.by_positions.of(k);
    return counts(lengths, at.quotient, at.rest) ? four_at(of.data + x.offset(k), whole, of.left)
                                                 : Four{{blank, blank, blank, blank}};
  }
};

struct Turned {  // U^T in panels, 0 in their padding
  Gates u;
  Panels to;
  float* out;
  STEEP_HD void operator()(int r, int c) const {
    const bool there = c < to.columns;
    const Panels& p = u.w.panels;
    out[in_panels(to, r, c)] = there ? u.w.data[u.narrow ? p.at(r, c) : p.at(c, r)] : 0.0f;
  }
};

// Few columns are stored as rows, and would fill a corner of a fragment: they stay exact. `turned`: W^T is met.
template <class A, class E>
void multiply(const Place& at, const Sizes& sizes, const A& a, const Gates& w, bool turned,
              const E& e) {
  if (w.narrow) {
    turned ? run_exact(at.stream, sizes, a, Packed{w.w}, e, NothingSummed{})
           : run_exact(at.stream, sizes, a, PackedTurned{w.w}, e, NothingSummed{});
  } else {
    turned ? run_product(at, sizes, a, PackedTurned{w.w}, e)
           : run_product(at, sizes, a, Packed{w.w}, e);
  }
}

}  // namespace

void recurrent_inputs(const Place& at, const Steps& s, const View& x, const Gates& w,
                      const Biases& biases, const View& tape) {
  const Dense from = dense(x, s.steps);
  multiply(
      at, {at.rows * s.steps, s.columns(), s.inputs}, RowMajor{from}, w, false,
      IntoRecords{of_records(s, tape, s.at_gates), biases, s.unit == Unit::kGru ? 2 * s.units : 0});
}

void recurrent_turned(const Place& at, const Gates& u, int units, int columns, float* out) {
  const Panels to{columns, units};
  Place rows = at;
  rows.rows = columns;
  each(rows, static_cast<int>(to.width()), Turned{u, to, out});
}

void recurrent_input_grad(const Place& at, const Steps& s, const View& tape, const Gates& w,
                          const View& start, const View& dx, bool accumulate) {
  multiply(at, {at.rows * s.steps, s.inputs, s.columns()},
           RowMajor{of_records(s, tape, s.at_gates)}, w, true,
           IntoPositions{s.lengths ? start : View{}, dense(dx, s.steps), accumulate});
}

void positions_grad_weight(const Place& at, const Sown& x, const Sown& dz, int positions,
                           const View& lengths, const Gates& dw, bool accumulate) {
  const auto operand = [&](const Sown& of, float blank) {
    return Position{{of.of.data, of.of.ld, of.each, Divisor(positions)}, lengths, blank};
  };
  const Sizes sizes{static_cast<int>(dw.w.panels.rows), static_cast<int>(dw.w.panels.columns),
                    at.rows * positions};
  const Position a = operand(dw.narrow ? dz : x, -0.0f), b = operand(dw.narrow ? x : dz, 0.0f);
  const AddedPacked e{dw.w, accumulate};
  dw.narrow ? run_exact(at.stream, sizes, a, b, e, NothingSummed{})
            : run_product(at, sizes, a, b, e);
}

}  // namespace steep::cuda
