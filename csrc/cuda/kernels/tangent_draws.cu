// Ops that draw or choose, in dual numbers: dropout, noise, slopes, the largest of pieces. What is drawn has no
// derivative; words are those that the CPU finds.
#include "cuda/kernels/tangent.cuh"
// The line above comes first.
#include "base/box_muller.h"
#include "cuda/kernels/drawn.cuh"

namespace steep::cuda {

namespace {

// Four columns and one Philox block a thread.
struct Dropped {
  Now now;
  Drawn drawn;
  DualMask of;
  Duals x, y;
  bool accumulate;
  __device__ __forceinline__ void operator()(int r, int quad) const {
    const Philox4 bits = words_of(drawn, row_of(now), r, quad);
    const double rate = of.scalar < 0 ? of.rate : scalar_of(now, of.scalar);
    const double scale = of.scalar < 0 ? of.scale : 1.0 / (1.0 - rate);
    const uint32_t threshold = static_cast<uint32_t>(llround(rate * 4294967296.0));
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int c = 4 * quad + j;
      if (c >= y.columns) continue;
      DualNumber* const to = place(y, r, c);
      const Dual value = bits.word[j] >= threshold ? get(x, r, c) * Dual(scale) : Dual(0);
      leave(to, value, accumulate);
    }
  }
};

struct DroppedShifted {
  Now now;
  Drawn drawn;
  DualShift of;
  Duals x, y;
  __device__ __forceinline__ void operator()(int r, int quad) const {
    const Philox4 bits = words_of(drawn, row_of(now), r, quad);
    const uint32_t threshold = static_cast<uint32_t>(llround(of.rate * 4294967296.0));
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int c = 4 * quad + j;
      if (c >= y.columns) continue;
      const Dual kept = fma_(get(x, r, c), Dual(of.scale), Dual(of.shift));
      put(place(y, r, c), bits.word[j] >= threshold ? kept : Dual(of.dropped));
    }
  }
};

// Of the words of a column and its neighbour.
struct Noisy {
  Now now;
  Drawn drawn;
  double std;
  Duals x, y;
  __device__ __forceinline__ void operator()(int r, int quad) const {
    const Philox4 bits = words_of(drawn, row_of(now), r, quad);
#pragma unroll
    for (int j = 0; j < 4; j += 2) {
      const NormalPair<double> pair = normal_pair<double>(bits.word[j], bits.word[j + 1]);
      write(pair.first, r, 4 * quad + j);
      write(pair.second, r, 4 * quad + j + 1);
    }
  }
  __device__ __forceinline__ void write(double n, int r, int c) const {
    if (c < y.columns) put(place(y, r, c), fma_(Dual(std), Dual(n), get(x, r, c)));
  }
};

struct Sloped {
  Duals x;
  const DualNumber* slopes;
  Divisor channels;
  STEEP_HD Dual operator()(int r, int c) const {
    const Dual value = get(x, r, c);
    return value > Dual(0) ? value : get(slopes + channels.of(c).rest) * value;
  }
};
struct SlopedGrad {
  Duals dy, x;
  const DualNumber* slopes;
  Divisor channels;
  STEEP_HD Dual operator()(int r, int c) const {
    const Dual up = get(dy, r, c);
    return get(x, r, c) > Dual(0) ? up : get(slopes + channels.of(c).rest) * up;
  }
};
struct SlopeShare {
  Duals dy, x;
  STEEP_HD Dual operator()(int r, int c) const {
    const Dual value = get(x, r, c);
    return value > Dual(0) ? Dual(0) : get(dy, r, c) * value;
  }
};

struct LargestPiece {
  int pieces;
  Duals x;
  STEEP_HD Dual operator()(int r, int c) const {
    Dual top = get(x, r, c * pieces);
    for (int i = 1; i < pieces; ++i) {
      const Dual piece = get(x, r, c * pieces + i);
      top = (piece > top) | (piece != piece) ? piece : top;
    }
    return top;
  }
};
struct LargestPieceGrad {  // of one result: all of its pieces
  int pieces;
  Duals dy, x, y, dx;
  bool accumulate;
  STEEP_HD void operator()(int r, int c) const {
    Dual rest = get(dy, r, c);
    const Dual top = get(y, r, c);
    for (int i = 0; i < pieces; ++i) {
      const Dual piece = get(x, r, c * pieces + i);
      const bool takes = (piece == top) | (piece != piece);
      DualNumber* const to = place(dx, r, c * pieces + i);
      put(to, (accumulate ? get(to) : Dual(0)) + (takes ? rest : Dual(0)));
      rest = takes ? Dual(0) : rest;
    }
  }
};

}  // namespace

void dropout(const Place& at, const Drawn& drawn, const DualMask& of, const Duals& x,
             const Duals& y, bool accumulate) {
  each(at, (y.columns + 3) / 4, Dropped{at.now, drawn, of, x, y, accumulate});
}

void alpha_dropout(const Place& at, const Drawn& drawn, const DualShift& of, const Duals& x,
                   const Duals& y) {
  each(at, (y.columns + 3) / 4, DroppedShifted{at.now, drawn, of, x, y});
}

void add_noise(const Place& at, const Drawn& drawn, double std, const Duals& x, const Duals& y) {
  each(at, (y.columns + 3) / 4, Noisy{at.now, drawn, std, x, y});
}

void prelu(const Place& at, const DualNumber* slopes, int channels, const Duals& x,
           const Duals& y) {
  write_each(at, y, false, Sloped{x, slopes, Divisor(channels)});
}

void prelu_grad(const Place& at, const DualNumber* slopes, int channels, const Duals& dy,
                const Duals& x, const Duals& dx, bool accumulate) {
  write_each(at, dx, accumulate, SlopedGrad{dy, x, slopes, Divisor(channels)});
}

void prelu_shares(const Place& at, const Duals& dy, const Duals& x, const Duals& out) {
  write_each(at, out, false, SlopeShare{dy, x});
}

void maxout(const Place& at, int pieces, const Duals& x, const Duals& y) {
  write_each(at, y, false, LargestPiece{pieces, x});
}

void maxout_grad(const Place& at, int pieces, const Duals& dy, const Duals& x, const Duals& y,
                 const Duals& dx, bool accumulate) {
  each(at, dy.columns, LargestPieceGrad{pieces, dy, x, y, dx, accumulate});
}

}  // namespace steep::cuda
