// Loops of quotients, powers, bounds and the larger of two.
#include "ops/arithmetic.h"

#include "base/elements.h"
#include "cpu/kernels/each.h"
#include "cpu/ops/call.h"

namespace steep::STEEP_ISA {

namespace {

// y(r, c) (+)= value(row r of each tensor, c)
template <class T, class Value>
STEEP_HD void combine(const Work<T>& w, long lo, long hi, Value value) {
  const View<T>&a = w.in[0], &b = w.in[1], &y = w.out;
  each(y.at(lo), y.ld, hi - lo, y.width(), w.accumulate,
       [=, a = a.at(lo), lda = a.ld, b = b.at(lo), ldb = b.ld](long r, long c) {
         return value(a[r * lda + c], b[r * ldb + c]);
       });
  clear_padding(y, lo, hi);  // 0/0, and bounds on both sides of 0
}

template <class T, class Value>
STEEP_HD void combine_three(const Work<T>& w, long lo, long hi, Value value) {
  const View<T>&a = w.in[0], &b = w.in[1], &d = w.in[2], &y = w.out;
  each(y.at(lo), y.ld, hi - lo, y.width(), w.accumulate,
       [=, a = a.at(lo), lda = a.ld, b = b.at(lo), ldb = b.ld, d = d.at(lo), ldd = d.ld](
           long r, long c) { return value(a[r * lda + c], b[r * ldb + c], d[r * ldd + c]); });
  clear_padding(y, lo, hi);
}

template <class T, class Value>
STEEP_HD void map(const Work<T>& w, long lo, long hi, Value value) {
  each(w.out.at(lo), w.out.ld, hi - lo, w.out.width(), w.accumulate,
       [=, x = w.in[0].at(lo), ld = w.in[0].ld](long r, long c) { return value(x[r * ld + c]); });
  clear_padding(w.out, lo, hi);
}

// Calls loop(p) with p(x) = x^exponent.
template <class T, class Loop> STEEP_HD void with_power(double exponent, Loop loop) {
  const double size = exponent < 0 ? -exponent : exponent;
  const int n = size <= kMostFactors ? int(size) : 0;
  if (size == n && exponent >= 0) {
    loop([=](T x) { return whole_power(x, n); });
  } else if (size == n) {
    loop([=](T x) { return T(1) / whole_power(x, n); });
  } else if (exponent == 0.5) {
    loop([](T x) { return sqrt_(x); });
  } else if (exponent == -0.5) {
    loop([](T x) { return T(1) / sqrt_(x); });
  } else {
    loop([=](T x) { return any_power(x, exponent); });
  }
}

}  // namespace

template <class T>
void run(const ops::Divide&, const Work<T>& w, const Step<T>&, long lo, long hi) {
  combine(w, lo, hi, [](T a, T b) { return a / b; });
}
STEEP_CALL(Divide)

template <class T>
void run(const ops::DivideGrad&, const Work<T>& w, const Step<T>&, long lo, long hi) {
  combine_three(w, lo, hi, [](T dy, T y, T b) { return -dy * y / b; });
}
STEEP_CALL(DivideGrad)

template <class T>
void run(const ops::Power& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  with_power<T>(op.exponent, [&](auto power) { map(w, lo, hi, power); });
}
STEEP_CALL(Power)

template <class T>
void run(const ops::PowerGrad& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const T exponent = T(op.exponent);
  if (op.exponent == 0) return combine(w, lo, hi, [](T, T) { return T(0); });
  with_power<T>(op.exponent - 1, [&](auto power) {
    combine(w, lo, hi, [=](T dy, T x) { return dy * (exponent * power(x)); });
  });
}
STEEP_CALL(PowerGrad)

template <class T>
void run(const ops::Clip& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const T low = T(op.low), high = T(op.high);
  map(w, lo, hi, [=](T x) { return x < low ? low : x > high ? high : x; });
}
STEEP_CALL(Clip)

template <class T>
void run(const ops::ClipGrad& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const T low = T(op.low), high = T(op.high);
  combine(w, lo, hi, [=](T dy, T x) { return x < low || x > high ? T(0) : dy; });
}
STEEP_CALL(ClipGrad)

template <class T>
void run(const ops::Maximum&, const Work<T>& w, const Step<T>&, long lo, long hi) {
  combine(w, lo, hi, [](T a, T b) { return a > b || a != a ? a : b; });
}
STEEP_CALL(Maximum)

template <class T>
void run(const ops::Minimum&, const Work<T>& w, const Step<T>&, long lo, long hi) {
  combine(w, lo, hi, [](T a, T b) { return a < b || a != a ? a : b; });
}
STEEP_CALL(Minimum)

template <class T>
void run(const ops::WhereLarger&, const Work<T>& w, const Step<T>&, long lo, long hi) {
  combine_three(w, lo, hi, [](T dy, T a, T b) { return share(dy, a, b); });
}
STEEP_CALL(WhereLarger)

}  // namespace steep::STEEP_ISA
