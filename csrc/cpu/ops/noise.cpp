// Draws, and what is added to tensors. Their words are those of drawn.h.
#include "ops/noise.h"

#include "cpu/ops/call.h"
#include "cpu/ops/drawn.h"

namespace steep::STEEP_ISA {
namespace {

template <class T> STEEP_HD Words words(const ops::Drawing& op, const Step<T>& s) {
  return {s.seed, s.step, op.stream, s.passed + s.first};
}

template <class T> STEEP_HD void fill(const View<T>& out, T value, long lo, long hi) {
  each(out.at(lo), out.ld, hi - lo, out.width(), false, [=](long, long) { return value; });
}

}  // namespace

template <class T>
void run(const ops::NormalLike& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  if (!op.drawn) return fill(w.out, T(0), lo, hi);
  each_normal(w.out, false, words(op, s), lo, hi, [](T n, long, long) { return n; });
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(NormalLike)

template <class T>
void run(const ops::UniformLike& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  using Number = typename DrawnIn<T>::type;
  const T low = T(op.low), range = T(op.high - op.low), high = T(op.high);
  if (op.drawn) {
    each_drawn(w.out, false, words(op, s), lo, hi, [=](uint32_t word, long, long) {
      return min_(fma_(range, T(unit_<Number>(word)), low), high);
    });
  } else {
    fill(w.out, T(op.low + (op.high - op.low) / 2), lo, hi);
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(UniformLike)

template <class T>
void run(const ops::Bernoulli& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  using Number = typename DrawnIn<T>::type;
  each_drawn(w.out, false, words(op, s), lo, hi,
             [=, x = w.in[0].data, ld = w.in[0].ld](uint32_t word, long r, long c) {
               const T p = x[r * ld + c];  // a NaN stays one
               return T(unit_<Number>(word)) < p ? T(1) : p < T(1) ? T(0) : p;
             });
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(Bernoulli)

template <class T>
void run(const ops::GaussianNoise& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const T std = T(op.std);
  each_normal(w.out, false, words(op, s), lo, hi,
              [=, x = w.in[0].data, ld = w.in[0].ld](T n, long r, long c) {
                return fma_(std, n, x[r * ld + c]);
              });
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(GaussianNoise)

template <class T>
void run(const ops::Reparameterize& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  each_normal(
      w.out, false, words(op, s), lo, hi,
      [=, m = w.in[0].data, ldm = w.in[0].ld, v = w.in[1].data, ldv = w.in[1].ld](
          T n, long r, long c) { return fma_(exp_(T(0.5) * v[r * ldv + c]), n, m[r * ldm + c]); });
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(Reparameterize)

template <class T>
void run(const ops::ReparameterizeGrad& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  each_normal(w.out, w.accumulate, words(op, s), lo, hi,
              [=, dz = w.in[0].data, ldz = w.in[0].ld, v = w.in[1].data, ldv = w.in[1].ld](
                  T n, long r, long c) {
                return dz[r * ldz + c] * (T(0.5) * exp_(T(0.5) * v[r * ldv + c]) * n);
              });
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(ReparameterizeGrad)

}  // namespace steep::STEEP_ISA
