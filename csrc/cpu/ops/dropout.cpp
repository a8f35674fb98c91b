// Dropout of rows, and ReLU of random slopes.
#include "ops/dropout.h"

#include "cpu/ops/call.h"
#include "cpu/ops/drawn.h"

namespace steep::STEEP_ISA {
namespace {

// An element is kept where its word reaches this: probability 1 - rate to 32 bits.
STEEP_HD uint32_t threshold_of(double rate) {
  return uint32_t(__builtin_llround(rate * 4294967296.0));
}

// out (+)= dy where x is positive, else slope*dy, of a random slope.
template <class T>
STEEP_HD void slope_down(const ops::Sloping& op, const Work<T>& w, const Step<T>& s,
                         const View<T>& dy, const View<T>& x, long lo, long hi) {
  const T lower = T(op.low), range = T((op.high - op.low) * 0x1p-32);
  each_drawn(w.out, w.accumulate, {s.seed, s.step, op.stream, s.first}, lo, hi,
             [=, dy = dy.data, ldy = dy.ld, x = x.data, ldx = x.ld](uint32_t word, long r, long c) {
               const T up = dy[r * ldy + c], slope = fma_(range, T(word), lower);
               return x[r * ldx + c] > T(0) ? up : slope * up;
             });
  clear_padding(w.out, lo, hi);
}

}  // namespace

template <class T>
void run(const ops::Dropout& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const bool by_step = op.scalar >= 0;
  const double rate = by_step ? s.scalars[op.scalar] : op.rate;
  const uint32_t threshold = threshold_of(rate);
  // Per epoch: one mask for all batches, by the row's place in the batch.
  const uint64_t counter = op.redraw_epoch ? ~s.epoch : s.step;
  const T scale = T(by_step ? 1.0 / (1.0 - rate) : op.scale);
  each_drawn(w.out, w.accumulate, {s.seed, counter, op.stream, s.first}, lo, hi,
             [=, x = w.in[0].data, ld = w.in[0].ld](uint32_t word, long r, long c) {
               return word >= threshold ? x[r * ld + c] * scale : T(0);
             });
}
STEEP_CALL(Dropout)

template <class T>
void run(const ops::AlphaDropout& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const uint32_t threshold = threshold_of(op.rate);
  const T scale = T(op.scale), shift = T(op.shift), dropped = T(op.scale * op.kLow + op.shift);
  each_drawn(w.out, false, {s.seed, s.step, op.stream, s.first}, lo, hi,
             [=, x = w.in[0].data, ld = w.in[0].ld](uint32_t word, long r, long c) {
               return word >= threshold ? fma_(x[r * ld + c], scale, shift) : dropped;
             });
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(AlphaDropout)

template <class T>
void run(const ops::RReLU& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  slope_down(op, w, s, w.in[0], w.in[0], lo, hi);
}
STEEP_CALL(RReLU)

template <class T>
void run(const ops::RReLUGrad& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  slope_down(op, w, s, w.in[0], w.in[1], lo, hi);
}
STEEP_CALL(RReLUGrad)

}  // namespace steep::STEEP_ISA
