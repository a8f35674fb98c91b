// Normalisation of samples by themselves, in the order of the CPU's sums: half a warp for the channels of a position;
// 64 positions at a time where channels are summed over them, and the channels of a piece in double, one by one.
#include "cuda/kernels/feature_norm.h"
#include "cuda/kernels/kernel.cuh"

namespace steep::cuda {

namespace {

// ---- A position by itself ----

constexpr int kPositions = 64 / kHalf;  // of a block

// The sum of value(c) over the channels of a position; every lane gets it.
template <class Value> __device__ __forceinline__ float sum_across(const Part& at, Value value) {
  float sum = 0;
#pragma unroll 8
  for (int c = at.lane; c < at.columns; c += kHalf) sum = sum + value(c);
  return fold_lanes(sum);
}

// Where the mean of a position stands; its 1/std lies `pieces` further.
__device__ __forceinline__ float* moments_of(const Featured& n, const View& moments,
                                             const Part& at) {
  return moments.data + at.r * moments.ld + at.from / n.channels;
}

STEEP_HD float inverse_root(float variance, double eps) {
  return 1.0f / sqrt_(variance + static_cast<float>(eps));
}

struct Moment { float mean, scale; };
template <class By>
__device__ __forceinline__ Moment make_moment(const Featured& n, const Part& at, const View& x,
                                              const View& out) {
  const long from = at.place(x);
  const float count = static_cast<float>(n.channels);
  float mean = 0;
  if (n.centred) mean = sum_across(at, [=](int c) { return By::get(x, from + c); }) / count;
  const float squares = sum_across(at, [=](int c) {
    const float away = By::get(x, from + c) - mean;
    return away * away;
  });
  const Moment made{mean, inverse_root(squares / count, n.eps)};
  if (at.there && at.lane == 0) {
    float* const to = moments_of(n, out, at);
    to[0] = made.mean;
    to[n.outer] = made.scale;
  }
  return made;
}

template <class By>
__global__ void __launch_bounds__(64) position_moments(int rows, Featured n, View x, View out) {
  make_moment<By>(n, Part(rows, n.outer, x.columns), x, out);
}

// kMakes: moments are not there yet, and will be.
template <bool kMakes, class By>
__global__ void __launch_bounds__(64)
    position_norm(int rows, Featured n, View x, View moments, const float* weight,
                  const float* bias, View y) {
  const Part at(rows, n.outer, x.columns);
  Moment by{};
  if constexpr (kMakes) by = make_moment<By>(n, at, x, moments);
  if (!at.there) return;
  if constexpr (!kMakes) {
    const float* const of = moments_of(n, moments, at);
    by = {of[0], of[n.outer]};
  }
  const long from = at.place(x), to = at.place(y);
  const float mean = by.mean, scale = by.scale;
#pragma unroll 8
  for (int c = at.lane; c < at.columns; c += kHalf) {
    const float normal = (By::get(x, from + c) - mean) * scale;
    By::put(y, to + c,
            bias     ? fma_(normal, weight[c], bias[c])
            : weight ? normal * weight[c]
                     : normal);
  }
}

// What a gradient becomes within its piece: a and b are the means of it and of its product with xhat.
STEEP_HD float slope(float up, float in, float mean, float scale, float a, float b) {
  return scale * (up - a - (in - mean) * scale * b);
}

template <class By>
__global__ void __launch_bounds__(64)
    position_grad(int rows, Featured n, View dy, View x, View moments, const float* weight, View dx,
                  bool accumulate) {
  const Part at(rows, n.outer, x.columns);
  const long up = at.place(dy), in = at.place(x), to = at.place(dx);
  const float* const of = moments_of(n, moments, at);
  const float mean = at.there ? of[0] : 0.0f, scale = at.there ? of[n.outer] : 0.0f;
  const float count = static_cast<float>(n.channels);
  const auto apart = [=](int c) { return By::get(x, in + c) - mean; };
  const auto gained = [=](int c) {
    const float of_y = By::get(dy, up + c);
    return weight ? of_y * weight[c] : of_y;
  };
  float a = 0;
  if (n.centred) a = sum_across(at, gained) / count;
  const float b = sum_across(at, [=](int c) { return gained(c) * (apart(c) * scale); }) / count;
#pragma unroll 4
  for (int c = at.lane; c < at.columns; c += kHalf) {
    const float value = slope(gained(c), By::get(x, in + c), mean, scale, a, b);
    By::put(dx, to + c, accumulate ? By::get(dx, to + c) + value : value);
  }
}

// ---- Over positions and pixels ----

constexpr int kTile = 32, kLines = 16, kPart = 64;  // channels, lines of threads, pixels of a part

// Sums over [0, n) of what step(sums, p) adds, 32 channels a line of threads. `beside` lines have a part each
// and the first of them the total.
template <int kSums> using Parts = float[kSums][kLines][kTile];
template <int kSums, class Step>
__device__ void sum_down(int n, int beside, bool there, Parts<kSums>& parts, float (&total)[kSums],
                         const Step& step) {
  const int lane = static_cast<int>(threadIdx.x), line = static_cast<int>(threadIdx.y);
  const int mine = line % beside;
  for (int k = 0; k < kSums; ++k) total[k] = 0;
  for (int first = 0; first < n; first += kPart * beside) {
    const int from = first + kPart * mine, end = from + kPart < n ? from + kPart : n;
    float sums[kSums] = {};
    if (there) {
#pragma unroll 8
      for (int p = from; p < end; ++p) step(sums, p);
    }
    for (int k = 0; k < kSums; ++k) parts[k][line][lane] = sums[k];
    __syncthreads();
    for (int i = 0; mine == 0 && i < beside && first + kPart * i < n; ++i)
      for (int k = 0; k < kSums; ++k) total[k] = total[k] + parts[k][line + i][lane];
    __syncthreads();
  }
}

// How many lines have something to do, a power of two.
int lines_for(long n) {
  int lines = 1;
  while (lines < kLines && lines * kPart < n) lines *= 2;
  return lines;
}

template <class By>
__global__ void __launch_bounds__(kTile* kLines)
    norm_sums_of(Featured n, int tiles, View dy, View x, View moments, View out) {
  STEEP_SHARED(parts, Parts<2>);
  const int r = static_cast<int>(blockIdx.x) / tiles;
  const int c = static_cast<int>(blockIdx.x) % tiles * kTile + static_cast<int>(threadIdx.x);
  const bool there = c < n.channels;
  const long up = r * dy.ld + c, in = r * x.ld + c;
  const float* const of = moments.data + r * moments.ld;
  const int pieces = n.outer * n.parts;
  float mean = 0, scale = 0;
  if (there && !n.by_position) {
    const int piece = c / (n.channels / n.parts);
    mean = of[piece];
    scale = of[pieces + piece];
  }
  float total[2];
  sum_down(n.outer * n.pixels, static_cast<int>(blockDim.y), there, parts, total,
           [&](float* sums, int p) {
             const float m = n.by_position ? of[p] : mean;
             const float s = n.by_position ? of[pieces + p] : scale;
             const long at = static_cast<long>(p) * n.channels;
             const float g = By::get(dy, up + at);
             sums[0] = sums[0] + g;
             sums[1] = sums[1] + g * ((By::get(x, in + at) - m) * s);
           });
  const long width = padded(n.channels);
  if (threadIdx.y != 0 || c >= width) return;
  float* const to = out.data + r * out.ld + c;
  to[0] = there ? total[0] : 0.0f;
  to[width] = there ? total[1] : 0.0f;
}

// ---- Pieces of many positions ----

// How a sample's channels are shared out among blocks: so many whole pieces as 32 channels hold, or one.
struct Tiles {
  int run, pieces, width, count;  // channels of a piece; of a tile; how many there are
};
Tiles tiles_of(const Featured& n) {
  const int run = n.channels / n.parts, pieces = run < kTile ? kTile / run : 1;
  return {run, pieces, pieces * run, (n.parts + pieces - 1) / pieces};
}
struct Tile {
  int r, piece, pieces, first, width;
  __device__ __forceinline__ Tile(const Featured& n, const Tiles& of)
      : r(static_cast<int>(blockIdx.x) / of.count),
        piece(static_cast<int>(blockIdx.x) % of.count * of.pieces),
        pieces(n.parts - piece < of.pieces ? n.parts - piece : of.pieces), first(piece * of.run),
        width(pieces * of.run) {}
};
STEEP_HD double count_of(const Featured& n, const Tiles& of) {
  return static_cast<double>(n.pixels) * static_cast<double>(of.run);
}
// What numbers [base, base + n) of a tile's channels add to piece `own`, in order.
STEEP_HD void add_channels(double& sum, const float* numbers, int base, int n, const Tiles& of,
                           const Tile& at, int own) {
  const int begin = own * of.run > base ? own * of.run : base, last = base + n;
  int end = (own + 1) * of.run < last ? (own + 1) * of.run : last;
  if (end > at.width) end = at.width;
  for (int c = begin; c < end; ++c) sum += static_cast<double>(numbers[c - base]);
}

struct Moments {
  Parts<1> parts;
  float totals[kLines * kTile], centers[kTile];
};

// Of piece j of a tile in thread j: the mean, or the mean square of distances from the centers.
template <bool kSquares, class By>
__device__ float mean_of_piece(const Featured& n, const Tiles& of, const Tile& at, const View& x,
                               int beside, Moments& s) {
  const int lane = static_cast<int>(threadIdx.x), line = static_cast<int>(threadIdx.y);
  const int own = line * kTile + lane, together = kLines / beside * kTile;
  double sum = 0;
  for (int base = 0; base < at.width; base += together) {
    const int c = base + line / beside * kTile + lane;
    const bool there = c < at.width;
    const float center = kSquares && there ? s.centers[c / of.run] : 0.0f;
    const long from = at.r * x.ld + at.first + c;
    float total[1];
    sum_down(n.pixels, beside, there, s.parts, total, [&](float* sums, int p) {
      const float in = By::get(x, from + static_cast<long>(p) * n.channels);
      const float away = in - center;
      sums[0] = sums[0] + (kSquares ? away * away : in);
    });
    if (line % beside == 0) s.totals[c - base] = total[0];
    __syncthreads();
    if (own < at.pieces) add_channels(sum, s.totals, base, together, of, at, own);
  }
  return static_cast<float>(sum / count_of(n, of));
}

template <class By>
__global__ void __launch_bounds__(kTile* kLines)
    piece_moments(Featured n, Tiles of, int beside, View x, View out) {
  STEEP_SHARED(shared, Moments);
  const Tile at(n, of);
  const int own = static_cast<int>(threadIdx.y) * kTile + static_cast<int>(threadIdx.x);
  float mean = 0;
  if (n.centred) mean = mean_of_piece<false, By>(n, of, at, x, beside, shared);
  if (own < at.pieces) shared.centers[own] = mean;
  __syncthreads();
  const float variance = mean_of_piece<true, By>(n, of, at, x, beside, shared);
  if (own >= at.pieces) return;
  float* const to = out.data + at.r * out.ld + at.piece + own;
  to[0] = mean;
  to[n.parts] = inverse_root(variance, n.eps);
}

constexpr int kRows = 8;  // of threads, one pixel each

// value(place, channel, piece of the tile) for a block's channels and its share of the pixels.
template <class Write>
__device__ __forceinline__ void over_tile(const Featured& n, const Tiles& of, const Tile& at,
                                          int share, const Write& write) {
  const int first = static_cast<int>(blockIdx.y) * share;
  const int end = first + share < n.pixels ? first + share : n.pixels;
  for (int c = static_cast<int>(threadIdx.x); c < at.width; c += kTile) {
    const auto put = write(at.first + c, c / of.run);
#pragma unroll 4
    for (int p = first + static_cast<int>(threadIdx.y); p < end; p += kRows)
      put(static_cast<long>(p) * n.channels + at.first + c);
  }
}

template <class By>
__global__ void __launch_bounds__(kTile* kRows)
    piece_norm(Featured n, Tiles of, int share, View x, View moments, const float* weight,
               const float* bias, View y) {
  const Tile at(n, of);
  const long from = at.r * x.ld, to = at.r * y.ld;
  const float* const mean = moments.data + at.r * moments.ld + at.piece;
  over_tile(n, of, at, share, [&](int c, int piece) {
    const float m = mean[piece], s = mean[n.parts + piece];
    const float gain = weight ? weight[c] : 1.0f, shift = bias ? bias[c] : 0.0f;
    return [=](long e) {
      const float normal = (By::get(x, from + e) - m) * s;
      By::put(y, to + e, bias ? fma_(normal, gain, shift) : normal * gain);
    };
  });
}

struct Slopes { float numbers[2][kTile * kRows], means[2][kTile]; };

template <class By>
__global__ void __launch_bounds__(kTile* kRows)
    piece_grad(Featured n, Tiles of, int share, View dy, View x, View moments, View sums,
               const float* weight, View dx, bool accumulate) {
  STEEP_SHARED(s, Slopes);
  constexpr int kThreads = kTile * kRows;
  const Tile at(n, of);
  const int own = static_cast<int>(threadIdx.y) * kTile + static_cast<int>(threadIdx.x);
  const int which = own / kTile, piece = own % kTile;  // of two rows of threads: what they add
  const bool adds = which < 2 && piece < at.pieces;
  const float* const all = sums.data + at.r * sums.ld + at.first;
  double sum = 0;
  for (int base = 0; base < at.width; base += kThreads) {
    if (base + own < at.width) {
      const float gain = weight ? weight[at.first + base + own] : 1.0f;
      s.numbers[0][own] = all[base + own] * gain;
      s.numbers[1][own] = all[padded(n.channels) + base + own] * gain;
    }
    __syncthreads();
    if (adds) add_channels(sum, s.numbers[which], base, kThreads, of, at, piece);
    __syncthreads();
  }
  if (adds)
    s.means[which][piece] =
        which == 1 || n.centred ? static_cast<float>(sum / count_of(n, of)) : 0.0f;
  __syncthreads();
  const long up = at.r * dy.ld, in = at.r * x.ld, to = at.r * dx.ld;
  const float* const mean = moments.data + at.r * moments.ld + at.piece;
  over_tile(n, of, at, share, [&](int c, int own_piece) {
    const float m = mean[own_piece], scale = mean[n.parts + own_piece];
    const float a = s.means[0][own_piece], b = s.means[1][own_piece];
    const float gain = weight ? weight[c] : 1.0f;
    return [=](long e) {
      const float value = slope(By::get(dy, up + e) * gain, By::get(x, in + e), m, scale, a, b);
      By::put(dx, to + e, accumulate ? By::get(dx, to + e) + value : value);
    };
  });
}

// Pixels of a block: of few samples each is shared out among several, not too small ones.
int share_of(const Featured& n, const Tiles& of, int rows) {
  constexpr long kEnough = 1024, kLeast = 32;  // blocks, pixels
  const long blocks = static_cast<long>(rows) * of.count;
  const long wanted = (static_cast<long>(n.pixels) * blocks + kEnough - 1) / kEnough;
  return static_cast<int>(wanted < kLeast ? kLeast : wanted);
}
dim3 shares(const Featured& n, const Tiles& of, int rows, int share) {
  return dim3(static_cast<unsigned>(rows * of.count), blocks_of(n.pixels, share));
}
dim3 positions_of(const Place& at, const Featured& n) {
  return dim3(blocks_of(static_cast<long>(at.rows) * n.outer, kPositions));
}

}  // namespace

void feature_moments(const Place& at, const Featured& n, const View& x, const View& out) {
  with_storage(
      [&]<class By>(By) {
        if (n.by_position) {
          return start(at.stream, positions_of(at, n), dim3(64), position_moments<By>, at.rows, n,
                       x, out);
        }
        const Tiles of = tiles_of(n);
        start(at.stream, dim3(static_cast<unsigned>(at.rows * of.count)), dim3(kTile, kLines),
              piece_moments<By>, n, of, lines_for(n.pixels), x, out);
      },
      x);
}

void feature_norm(const Place& at, const Featured& n, const View& x, const View& moments,
                  bool makes, const float* weight, const float* bias, const View& y) {
  with_storage(
      [&]<class By>(By) {
        if (n.by_position) {
          return start(at.stream, positions_of(at, n), dim3(64),
                       makes ? position_norm<true, By> : position_norm<false, By>, at.rows, n, x,
                       moments, weight, bias, y);
        }
        const Tiles of = tiles_of(n);
        const int share = share_of(n, of, at.rows);
        start(at.stream, shares(n, of, at.rows, share), dim3(kTile, kRows), piece_norm<By>, n, of,
              share, x, moments, weight, bias, y);
      },
      x, y);
}

void feature_norm_sums(const Place& at, const Featured& n, const View& dy, const View& x,
                       const View& moments, const View& out) {
  const int tiles = (n.channels + kTile - 1) / kTile;
  const int lines = lines_for(static_cast<long>(n.outer) * n.pixels);
  with_storage(
      [&]<class By>(By) {
        start(at.stream, dim3(static_cast<unsigned>(at.rows * tiles)),
              dim3(kTile, static_cast<unsigned>(lines)), norm_sums_of<By>, n, tiles, dy, x, moments,
              out);
      },
      dy, x);
}

void feature_norm_grad(const Place& at, const Featured& n, const View& dy, const View& x,
                       const View& moments, const View& sums, const float* weight, const View& dx,
                       bool accumulate) {
  with_storage(
      [&]<class By>(By) {
        if (n.by_position) {
          return start(at.stream, positions_of(at, n), dim3(64), position_grad<By>, at.rows, n, dy,
                       x, moments, weight, dx, accumulate);
        }
        const Tiles of = tiles_of(n);
        const int share = share_of(n, of, at.rows);
        start(at.stream, shares(n, of, at.rows, share), dim3(kTile, kRows), piece_grad<By>, n, of,
              share, dy, x, moments, sums, weight, dx, accumulate);
      },
      dy, x, dx);
}

}  // namespace steep::cuda
