// What stands around the steps of recurrent layers: weights as the steps read them, the gradient of the input,
// and dropout of one mask for all steps.
#include "cpu/ops/call.h"
#include "cpu/ops/steps.h"
#include "ops/recurrent.h"

namespace steep::STEEP_ISA {
namespace {

// W or U, (rows, gates*units), as the Store keeps it: few columns lie as rows.
template <class T> struct Stored {
  const T* data;
  long rows, columns;
  bool narrow;

  // to(c) = this(row, column + c), n of them.
  STEEP_HD void read(long row, long column, long n, T* to) const {
    const Panels panels{rows, columns}, few{columns, rows};
    for (long c = 0, piece = 1; c < n; c += piece) {
      const long at = column + c, left = kPanel - at % kPanel;
      piece = narrow ? 1 : left < n - c ? left : n - c;
      const T* const from = data + (narrow ? few.at(at, row) : panels.at(row, at));
      for (long j = 0; j < piece; ++j) to[c + j] = from[j];
    }
  }
  // to(k, c) = this(row + c, k) of all k and n rows, `ld` apart.
  STEEP_HD void turn(long row, long n, T* to, long ld) const {
    const Panels panels{rows, columns}, few{columns, rows};
    if (narrow)
      for (long k = 0; k < columns; ++k)
        for (long c = 0; c < n; ++c) to[k * ld + c] = data[few.at(k, row + c)];
    for (long q = 0; !narrow && q < panels.count(); ++q)
      transpose(data + panels.at(row, q * kPanel), panels.width(q), to + q * kPanel * ld, ld, n,
                panels.present(q));
  }
};

// The biases of a gate: those of both products where they are simply added.
template <class T>
STEEP_HD T bias_of(const ops::RecurrentPack& op, const Work<T>& w, long set, long unit) {
  const long units = op.Recurrence::units;
  const T *const of_x = w.parameters[2], *const of_h = w.parameters[3];
  const auto at = [=](const T* bias, long gate) { return bias ? bias[gate * units + unit] : T(0); };
  if (op.cell != Cell::GRU) return at(of_x, set);
  return set < 2 ? at(of_x, set) + at(of_h, set) : set == 2 ? at(of_x, 2) : at(of_h, 2);
}

template <class T>
void pack_forward(const ops::RecurrentPack& op, const Work<T>& w, const Stored<T>& weight,
                  const Stored<T>& recurrent, long panel) {
  const long units = op.Recurrence::units, inputs = op.inputs, all = inputs + units;
  const Panels of{all, units};
  const long first = panel * kPanel, columns = of.width(panel), present = of.present(panel);
  T* to = w.out.data + op.gates() * all * first;
  for (long g = 0; g < op.gates(); ++g)
    for (long r = 0; r < all; ++r, to += columns) {
      const Stored<T>& from = r < inputs ? weight : recurrent;
      from.read(r < inputs ? r : r - inputs, g * units + first, present, to);
      for (long c = present; c < columns; ++c) to[c] = T(0);
    }
  to = w.out.data + op.at_biases() + op.biases() * first;
  for (long b = 0; b < op.biases(); ++b, to += columns)
    for (long c = 0; c < columns; ++c) to[c] = c < present ? bias_of(op, w, b, first + c) : T(0);
}

template <class T>
void pack_turned(const ops::RecurrentPack& op, const Work<T>& w, const Stored<T>& of, long panel) {
  const Panels to{op.columns(), op.outputs()};
  const long columns = to.width(panel), present = to.present(panel);
  T* const at = w.out.data + to.offset(panel);
  if (present < columns) __builtin_memset(static_cast<void*>(at), 0, to.rows * columns * sizeof(T));
  of.turn(panel * kPanel, present, at, columns);
}

}  // namespace

template <class T>
void run(const ops::RecurrentPack& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  using Pack = ops::RecurrentPack;
  const Stored<T> weight{w.parameters[0], op.inputs, op.columns(), w.narrow};
  const Stored<T> recurrent{w.parameters[1], op.Recurrence::units, op.columns(), w.narrow};
  for (long panel = lo; panel < hi; ++panel) {
    if (op.way == Pack::kForward)
      pack_forward(op, w, weight, recurrent, panel);
    else
      pack_turned(op, w, op.way == Pack::kWeightTurned ? weight : recurrent, panel);
  }
}
STEEP_CALL(RecurrentPack)

// Of a sample's positions or, where these are few, of one position of all samples.
template <class T>
void run(const ops::RecurrentInputGrad& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const View<T>&tape = w.in[0], &dx = w.out;
  const Panels of{op.columns(), op.inputs};
  const long gates = op.at_gates() * op.units;
  const auto multiply = [&](long r, long t, long rows, long lda, long ldc) {
    for (long p = 0; p < of.count(); ++p) {
      const long columns = of.width(p), present = of.present(p);
      gemm_panel<T>({.a = tape.at(r) + t * op.record() + gates,
                     .lda = lda,
                     .b = w.in[1].data + of.offset(p),
                     .ldb = columns,
                     .c = dx.at(r) + t * op.inputs + p * kPanel,
                     .ldc = ldc,
                     .rows = rows,
                     .columns = columns,
                     .depth = op.columns(),
                     .accumulate = w.accumulate,
                     .present = present < columns ? present : 0});
    }
  };
  if (!op.lengths && hi - lo > op.steps) {
    for (long t = 0; t < op.steps; ++t) multiply(lo, t, hi - lo, tape.ld, dx.ld);
  } else {
    for (long r = lo; r < hi; ++r) {
      const long steps = steps_of(op, &w.in[2], r);
      if (steps > 0) multiply(r, 0, steps, op.record(), op.inputs);
      if (!w.accumulate)
        __builtin_memset(static_cast<void*>(dx.at(r) + steps * op.inputs), 0,
                         (op.steps - steps) * op.inputs * sizeof(T));
    }
  }
  clear_padding(dx, lo, hi);
}
STEEP_CALL(RecurrentInputGrad)

template <class T>
void run(const ops::StepDropout& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const uint32_t threshold = uint32_t(__builtin_llround(op.rate * 4294967296.0));
  const T scale = T(1 / (1 - op.rate));
  const long features = w.out.columns / op.positions;
  over_words({s.seed, s.step, op.stream, s.first}, padded(features), lo, hi,
             [&](const uint32_t* word, long r, long first, long columns) {
               const long n = features - first < columns ? features - first : columns;
               const T* x = w.in[0].at(r) + first;
               T* y = w.out.at(r) + first;
               for (long t = 0; t < op.positions; ++t, x += features, y += features)
                 for (long c = 0; c < n; ++c) {
                   const T kept = word[c] >= threshold ? x[c] * scale : T(0);
                   y[c] = w.accumulate ? y[c] + kept : kept;
                 }
             });
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(StepDropout)

}  // namespace steep::STEEP_ISA
