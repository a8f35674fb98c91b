// Ops that choose, in dual numbers: by the sign of an element, or the largest of pieces.
#include "cuda/kernels/tangent.cuh"

namespace steep::cuda {

namespace {

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
