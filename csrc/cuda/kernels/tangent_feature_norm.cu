// Normalisation of a sample by itself in dual numbers: half a warp a position, or a thread a piece; sums in the CPU's
// order.
#include "cuda/kernels/tangent.cuh"
// The line above comes first.
#include "cuda/kernels/tangent_norms.h"

namespace steep::cuda {

namespace {

// SumsOfSample of value(p) over [0, n), 64 positions at a time.
template <class Value> __device__ __forceinline__ Dual sum_down(int n, const Value& value) {
  Dual total = 0;
  for (int first = 0; first < n; first += 64) {
    const int end = first + 64 < n ? first + 64 : n;
    Dual part = 0;
    for (int p = first; p < end; ++p) part += value(p);
    total += part;
  }
  return total;
}

STEEP_HD int run_of(const Featured& of) { return of.channels / of.parts; }
STEEP_HD int pieces_of(const Featured& of) { return of.outer * of.parts; }
STEEP_HD double count_of(const Featured& of) {
  return static_cast<double>(of.pixels) * static_cast<double>(run_of(of));
}
STEEP_HD Dual inverse_root(Dual variance, double eps) {
  return Dual(1) / sqrt_(variance + Dual(eps));
}

__global__ void __launch_bounds__(64)
    moments_of_positions(int rows, Featured of, Duals x, Duals out) {
  const Part at(rows, of.outer, x.columns);
  const DualNumber* const in = place(x, at.r, at.from);
  const Dual count = at.columns;
  Dual sum = 0, squares = 0;
  for (int c = at.lane; of.centred && c < at.columns; c += kHalf) sum += get(in + c);
  const Dual mean = of.centred ? fold(sum) / count : Dual(0);
  for (int c = at.lane; c < at.columns; c += kHalf) {
    const Dual d = get(in + c) - mean;
    squares += d * d;
  }
  squares = fold(squares);
  if (!at.there || at.lane != 0) return;
  const long p = at.from / at.columns;
  put(place(out, at.r, p), mean);
  put(place(out, at.r, pieces_of(of) + p), inverse_root(squares / count, of.eps));
}

struct PieceMoments {
  Featured of;
  Duals x, out;
  // The mean over a piece of x, or of squared distances from m: channel after channel.
  __device__ __forceinline__ Dual mean(int r, int piece, bool squared, Dual m) const {
    const int run = run_of(of);
    const DualNumber* from = place(x, r, piece * run);
    Dual sum = 0;
    for (int c = 0; c < run; ++c, ++from)
      sum += sum_down(of.pixels, [&](int p) {
        const Dual d = get(from + static_cast<long>(p) * of.channels) - m;
        return squared ? d * d : d;
      });
    return sum / Dual(count_of(of));
  }
  __device__ void operator()(int r, int piece) const {
    const Dual m = of.centred ? mean(r, piece, false, Dual(0)) : Dual(0);
    put(place(out, r, piece), m);
    const Dual squares = mean(r, piece, true, m);
    put(place(out, r, pieces_of(of) + piece), inverse_root(squares, of.eps));
  }
};

// Which piece an element is of.
STEEP_HD int piece_of(const Featured& of, int c) {
  const int row = c / of.channels, channel = c % of.channels;
  return row / of.pixels * of.parts + channel / run_of(of);
}

struct Normalized {
  Featured of;
  Duals x, moments;
  const DualNumber *weight, *bias;
  __device__ Dual operator()(int r, int c) const {
    const int piece = piece_of(of, c), k = c % of.channels;
    const Dual away = get(x, r, c) - get(moments, r, piece);
    const Dual normal = away * get(moments, r, pieces_of(of) + piece);
    if (weight && bias) return fma_(normal, get(weight + k), get(bias + k));
    return weight ? normal * get(weight + k) : normal;
  }
};

struct SumsOfSample {
  Featured of;
  int width;
  Duals dy, x, moments, out;
  __device__ void operator()(int r, int c) const {
    const int rows = of.outer * of.pixels;
    const auto up = [&](int p) { return get(dy, r, p * of.channels + c); };
    put(place(out, r, c), sum_down(rows, up));
    put(place(out, r, width + c), sum_down(rows, [&](int p) {
          const int piece = piece_of(of, p * of.channels + c);
          const Dual away = get(x, r, p * of.channels + c) - get(moments, r, piece);
          return up(p) * (away * get(moments, r, pieces_of(of) + piece));
        }));
  }
};

STEEP_HD Dual gain(const DualNumber* weight, int c) { return weight ? get(weight + c) : Dual(1); }
// s (dy w - a - xhat b)
STEEP_HD Dual sent_down(Dual up, Dual gained, Dual away, Dual s, Dual a, Dual b) {
  return s * (up * gained - a - away * s * b);
}

__global__ void __launch_bounds__(64)
    grad_of_positions(int rows, Featured of, Duals dy, Duals x, Duals moments,
                      const DualNumber* weight, Duals dx, bool accumulate) {
  const Part at(rows, of.outer, x.columns);
  const DualNumber *const up = place(dy, at.r, at.from), *const in = place(x, at.r, at.from);
  DualNumber* const to = place(dx, at.r, at.from);
  const Dual count = at.columns;
  const long p = at.there ? at.from / at.columns : 0, r = at.there ? at.r : 0;
  const Dual m = get(place(moments, r, p)), s = get(place(moments, r, pieces_of(of) + p));
  Dual first = 0, second = 0;
  for (int c = at.lane; c < at.columns; c += kHalf) {
    const Dual gained = get(up + c) * gain(weight, c);
    first += gained;
    second += gained * ((get(in + c) - m) * s);
  }
  const Dual a = of.centred ? fold(first) / count : Dual(0), b = fold(second) / count;
  for (int c = at.lane; c < at.columns; c += kHalf) {
    const Dual value = sent_down(get(up + c), gain(weight, c), get(in + c) - m, s, a, b);
    leave(to + c, value, accumulate);
  }
}

// What a piece sends down besides; all of its elements find the same sums.
struct PieceGrad {
  Featured of;
  int width;
  Duals dy, x, moments, sums;
  const DualNumber* weight;
  __device__ Dual operator()(int r, int c) const {
    const int piece = piece_of(of, c), k = c % of.channels, run = run_of(of);
    const int begin = k / run * run;
    Dual first = 0, second = 0;
    for (int i = begin; i < begin + run; ++i) {
      first += get(sums, r, i) * gain(weight, i);
      second += get(sums, r, width + i) * gain(weight, i);
    }
    const Dual a = of.centred ? first / Dual(count_of(of)) : Dual(0);
    const Dual b = second / Dual(count_of(of));
    const Dual m = get(moments, r, piece), s = get(moments, r, pieces_of(of) + piece);
    return sent_down(get(dy, r, c), gain(weight, k), get(x, r, c) - m, s, a, b);
  }
};

template <class Kernel, class... Arguments>
void by_halves(const Place& at, const Featured& of, Kernel* kernel, const Arguments&... arguments) {
  const long halves = static_cast<long>(at.rows) * of.outer;
  start(at.stream, dim3(blocks_of(halves, 64 / kHalf)), dim3(64), kernel, at.rows, of,
        arguments...);
}
int width_of(const Featured& of) { return static_cast<int>(padded(of.channels)); }

}  // namespace

void feature_moments(const Place& at, const Featured& of, const Duals& x, const Duals& out) {
  if (of.by_position) return by_halves(at, of, moments_of_positions, x, out);
  each(at, of.outer * of.parts, PieceMoments{of, x, out});
}

void feature_norm(const Place& at, const Featured& of, const Duals& x, const Duals& moments,
                  const DualNumber* weight, const DualNumber* bias, const Duals& y) {
  write_each(at, y, false, Normalized{of, x, moments, weight, bias});
}

void feature_norm_sums(const Place& at, const Featured& of, const Duals& dy, const Duals& x,
                       const Duals& moments, const Duals& out) {
  each(at, of.channels, SumsOfSample{of, width_of(of), dy, x, moments, out});
}

void feature_norm_grad(const Place& at, const Featured& of, const Duals& dy, const Duals& x,
                       const Duals& moments, const Duals& sums, const DualNumber* weight,
                       const Duals& dx, bool accumulate) {
  if (of.by_position) {
    return by_halves(at, of, grad_of_positions, dy, x, moments, weight, dx, accumulate);
  }
  write_each(at, dx, accumulate, PieceGrad{of, width_of(of), dy, x, moments, sums, weight});
}

}  // namespace steep::cuda
