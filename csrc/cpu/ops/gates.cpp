// The loops of PReLU, gated linear units and maxout, and their gradients.
#include "ops/gates.h"

#include "cpu/kernels/each.h"
#include "cpu/ops/call.h"
#include "cpu/ops/channels.h"

namespace steep::STEEP_ISA {
namespace {

constexpr long kBlock = 256;  // gates that are activated at once: a multiple of kLane

// Calls f(pixel, pixels, channel, channels) for blocks of at most kBlock elements of an image: several
// pixels, or a part of one.
template <class F> STEEP_HD void over_blocks(long pixels, long channels, F f) {
  const long many = channels < kBlock ? kBlock / channels : 1;
  for (long p = 0; p < pixels; p += many)
    for (long c = 0; c < channels; c += kBlock)
      f(p, pixels - p < many ? pixels - p : many, c, channels - c < kBlock ? channels - c : kBlock);
}

// Calls f(k, e, a) for the elements of a block: k within it, e of the result, a of the first half.
template <class F>
STEEP_HD void over_block(long pixel, long pixels, long channel, long columns, long channels, F f) {
  for (long q = 0; q < pixels; ++q) {
    const long e = (pixel + q) * channels + channel, a = e + (pixel + q) * channels;
#pragma GCC ivdep
    for (long k = 0; k < columns; ++k) f(q * columns + k, e + k, a + k);
  }
}

template <long k> struct Pieces {
  STEEP_HD long operator()() const { return k; }
};
struct AnyPieces {
  long k;
  STEEP_HD long operator()() const { return k; }
};

// Calls f with the number of pieces; loops over few of them are unrolled.
template <class F> STEEP_HD void of_pieces(long pieces, F f) {
  if (pieces == 2) return f(Pieces<2>{});
  if (pieces == 3) return f(Pieces<3>{});
  if (pieces == 4) return f(Pieces<4>{});
  f(AnyPieces{pieces});
}

}  // namespace

template <class T>
void run(const ops::PReLU& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  each_position(w.in[0], w.parameters[0], w.out.columns / op.channels, w.out, false, lo, hi,
                [](T x, T slope) { return x > T(0) ? x : slope * x; });
}
STEEP_CALL(PReLU)

template <class T>
void run(const ops::PReLUGrad& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const long size = w.out.columns;
  const Periodic<T, 1> slopes({w.parameters[0]}, size / op.channels, op.channels);
  for (long r = lo; r < hi; ++r) {
    T* const dx = w.out.at(r);
    const auto value = [dy = w.in[0].at(r), x = w.in[1].at(r), slope = slopes.of[0]](
                           long at, long k) { return x[at] > T(0) ? dy[at] : slope[k] * dy[at]; };
    if (w.accumulate)
      each_element(dx, size, slopes.period, [=](long at, long k) { return dx[at] + value(at, k); });
    else
      each_element(dx, size, slopes.period, value);
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(PReLUGrad)

template <class T>
void run(const ops::PReLUShares&, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const View<T>&dy = w.in[0], &x = w.in[1];
  each(w.out.at(lo), w.out.ld, hi - lo, w.out.width(), false,
       [=, dy = dy.at(lo), ldy = dy.ld, x = x.at(lo), ldx = x.ld](long r, long c) {
         return x[r * ldx + c] > T(0) ? T(0) : dy[r * ldy + c] * x[r * ldx + c];
       });
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(PReLUShares)

template <class T>
void run(const ops::GLU& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const long n = op.channels;
  for (long r = lo; r < hi; ++r) {
    const T* const x = w.in[0].at(r);
    T* const y = w.out.at(r);
    over_blocks(w.out.columns / n, n, [&](long pixel, long pixels, long channel, long columns) {
      T gate[kBlock] = {}, opened[kBlock];
      const View<T> from{gate, 0, pixels * columns}, to{opened, 0, pixels * columns};
      over_block(pixel, pixels, channel, columns, n,
                 [&](long k, long, long a) { gate[k] = x[a + n]; });
      activate(w, op, from, to, 0, 1, 0, from.width());
      over_block(pixel, pixels, channel, columns, n,
                 [&](long k, long e, long a) { y[e] = x[a] * opened[k]; });
    });
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(GLU)

template <class T>
void run(const ops::GLUGrad& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const long n = op.channels;
  for (long r = lo; r < hi; ++r) {
    const T *const dy = w.in[0].at(r), *const x = w.in[1].at(r);
    T* const dx = w.out.at(r);
    over_blocks(w.in[0].columns / n, n, [&](long pixel, long pixels, long channel, long columns) {
      T gate[kBlock] = {}, opened[kBlock], up[kBlock] = {}, down[kBlock];
      const long size = pixels * columns;
      const View<T> b{gate, 0, size}, f{opened, 0, size}, df{up, 0, size}, db{down, 0, size};
      over_block(pixel, pixels, channel, columns, n, [&](long k, long e, long a) {
        gate[k] = x[a + n];
        up[k] = dy[e] * x[a];
      });
      activate(w, op, b, f, 0, 1, 0, b.width());
      activate_grad(w, op, df, op.reads_input ? b : f, db, false, 0, 1, 0, b.width());
      const bool add = w.accumulate;
      over_block(pixel, pixels, channel, columns, n, [&](long k, long e, long a) {
        dx[a] = (add ? dx[a] : T(0)) + dy[e] * opened[k];
        dx[a + n] = (add ? dx[a + n] : T(0)) + down[k];
      });
    });
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(GLUGrad)

template <class T>
void run(const ops::Maxout& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  of_pieces(op.pieces, [&](auto pieces) {
    const long k = pieces();
    for (long r = lo; r < hi; ++r) {
      const T* const x = w.in[0].at(r);
      T* const y = w.out.at(r);
#pragma GCC ivdep
      for (long c = 0; c < w.out.columns; ++c) {
        T top = x[c * k];
        for (long i = 1; i < k; ++i) {
          const T piece = x[c * k + i];
          top = (piece > top) | (piece != piece) ? piece : top;
        }
        y[c] = top;
      }
    }
  });
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(Maxout)

template <class T>
void run(const ops::MaxoutGrad& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  of_pieces(op.pieces, [&](auto pieces) {
    const long k = pieces();
    for (long r = lo; r < hi; ++r) {
      const T *const dy = w.in[0].at(r), *const x = w.in[1].at(r), *const y = w.in[2].at(r);
      T* const dx = w.out.at(r);
      const bool add = w.accumulate;
#pragma GCC ivdep
      for (long c = 0; c < w.in[0].columns; ++c) {
        T rest = dy[c];
        for (long i = 0; i < k; ++i) {
          const T piece = x[c * k + i];
          const bool takes = (piece == y[c]) | (piece != piece);
          dx[c * k + i] = (add ? dx[c * k + i] : T(0)) + (takes ? rest : T(0));
          rest = takes ? T(0) : rest;
        }
      }
    }
  });
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(MaxoutGrad)

}  // namespace steep::STEEP_ISA
