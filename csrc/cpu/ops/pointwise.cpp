// Loops over each element by itself. The formulas of activations live in activations/.
#include "ops/pointwise.h"

#include "cpu/kernels/each.h"
#include "cpu/ops/call.h"
#include "cpu/ops/channels.h"

namespace steep::STEEP_ISA {
namespace {

// y(r, c) (+)= value(row r of a, row r of b, c)
template <class T, class Value>
STEEP_HD void combine(const Work<T>& w, long lo, long hi, Value value) {
  const View<T>&a = w.in[0], &b = w.in[1], &y = w.out;
  const T *const pa = a.at(lo), *const pb = b.at(lo);
  each(y.at(lo), y.ld, hi - lo, y.width(), w.accumulate,
       [=, lda = a.ld, ldb = b.ld](long r, long c) {
         return value(pa[r * lda + c], pb[r * ldb + c]);
       });
  clear_padding(y, lo, hi);  // inf * 0 in the padding must not spread
}

}  // namespace

template <class T>
void run(const ops::Activation& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  activate(w, op, w.in[0], w.out, lo, hi, 0, w.out.width());
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(Activation)

template <class T>
void run(const ops::ActivationGrad& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  activate_grad(w, op, w.in[0], w.in[1], w.out, w.accumulate, lo, hi, 0, w.out.width());
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(ActivationGrad)

template <class T>
void run(const ops::Add&, const Work<T>& w, const Step<T>&, long lo, long hi) {
  combine(w, lo, hi, [](T a, T b) { return a + b; });
}
STEEP_CALL(Add)

template <class T>
void run(const ops::Subtract&, const Work<T>& w, const Step<T>&, long lo, long hi) {
  combine(w, lo, hi, [](T a, T b) { return a - b; });
}
STEEP_CALL(Subtract)

template <class T>
void run(const ops::Multiply&, const Work<T>& w, const Step<T>&, long lo, long hi) {
  combine(w, lo, hi, [](T a, T b) { return a * b; });
}
STEEP_CALL(Multiply)

template <class T>
void run(const ops::Affine& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const double by = op.scalar < 0 ? op.scale : op.scale * s.scalars[op.scalar];
  const T scale = T(by), shift = T(op.shift);
  each(w.out.at(lo), w.out.ld, hi - lo, w.out.width(), w.accumulate,
       [=, x = w.in[0].at(lo), ld = w.in[0].ld](long r, long c) {
         return fma_(scale, x[r * ld + c], shift);
       });
  if (!(scale * T(0) + shift == 0)) clear_padding(w.out, lo, hi);
}
STEEP_CALL(Affine)

template <class T>
void run(const ops::AffineChannels&, const Work<T>& w, const Step<T>&, long lo, long hi) {
  by_channel(*static_cast<const ByChannel<T>*>(w.made), w.in[0], w.out, w.accumulate, lo, hi);
}
STEEP_CALL(AffineChannels)

template <class T>
void run(const ops::AddRow& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  if (op.positions == 1) return add_row(w.in[0], w.parameters[0], w.out, lo, hi);
  each_position(w.in[0], w.parameters[0], op.positions, w.out, false, lo, hi,
                [](T x, T p) { return x + p; });
}
STEEP_CALL(AddRow)

template <class T>
void run(const ops::MultiplyRow& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  if (op.positions == 1) return multiply_row(w.in[0], w.parameters[0], w.out, w.accumulate, lo, hi);
  each_position(w.in[0], w.parameters[0], op.positions, w.out, w.accumulate, lo, hi,
                [](T x, T p) { return x * p; });
}
STEEP_CALL(MultiplyRow)

}  // namespace steep::STEEP_ISA
