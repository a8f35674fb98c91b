// What the kernels of attention share: tiles of scores, a block of queries by a block of keys, and the
// probabilities made of them. Kernels: attention.cu, attention_grad.cu; products: attention_products.cuh.
//
// 16 by 16 threads hold a tile: each some rows that follow each other and every 16th column, so that a thread is
// the lane of the CPU's sums over a row.
#pragma once
#include "cuda/kernels/attention_products.cuh"
#include "cuda/kernels/drawn.cuh"

namespace steep::cuda {

// The keys that a query sees, and those that the CPU's panels reach: of both, as many as there are of the first.
struct Seen {
  int queries, limit;
  bool causal;
  __device__ __forceinline__ Seen(const Heads& of, int sample)
      : queries(of.queries), limit(of.keys), causal(of.causal) {
    if (of.lengths.data == nullptr) return;
    const float given = of.lengths.data[sample * of.lengths.ld];
    if (given >= 1.0f && given < static_cast<float>(of.keys)) limit = static_cast<int>(given);
  }
  __device__ __forceinline__ int count(int query) const {
    return causal && query + 1 < limit ? query + 1 : limit;
  }
  __device__ __forceinline__ int width(int query) const {
    const int end = (query / kQueriesTogether + 1) * kQueriesTogether;
    return static_cast<int>(ceil_div(count((end < queries ? end : queries) - 1), kPanel) * kPanel);
  }
};

// ---- Rows on their way into shared memory ----

// kSide rows from `first` on, kN numbers of each from n0 on; 0 where there are none.
template <int kSide, int kN> struct Coming {
  static constexpr int kLoads = kSide * kN / kAttending, kApart = kAttending / kN;
  float of[kLoads];
  __device__ __forceinline__ void load(const HeadRows& from, int first, int n0) {
    const int t = static_cast<int>(threadIdx.x), column = n0 + t % kN;
    const int left = column < from.columns ? from.rows - first - t / kN : 0;
    const float* const mine = from.row(first + t / kN) + column;
#pragma unroll
    for (int i = 0; i < kLoads; ++i)
      of[i] = i * kApart < left ? mine[i * kApart * from.step] : 0.0f;
  }
  __device__ __forceinline__ void store(float* to) const {
    const int t = static_cast<int>(threadIdx.x);
#pragma unroll
    for (int i = 0; i < kLoads; ++i) to[(t / kN + i * kApart) * (kN + 4) + t % kN] = of[i];
  }
};
// A few rows at a time: registers are for sums.
template <int kSide, int kN>
__device__ __forceinline__ void copy_rows(const HeadRows& from, int first, int n0, float* to) {
  constexpr int kMost = 8 * kAttending / kN, kRows = kSide < kMost ? kSide : kMost;
#pragma unroll 1
  for (int r = 0; r < kSide; r += kRows) {
    Coming<kRows, kN> rows;
    rows.load(from, first + r, n0);
    rows.store(to + r * (kN + 4));
  }
}

// ---- Scores and their like ----

template <class T> __device__ __forceinline__ int numbers_left(int size, int k0) {
  return size - k0 < T::n ? size - k0 : T::n;
}

// Where a block has tiles of numbers in shared memory, beside each other or one alone; no `data` where it has none.
struct Stage {
  float* data;
  int ld, step;  // from tile to tile
};

// f(tile, dots) for the dots of rows [first, first + T::q) of a with tiles [from, to) of the rows of b; `a` is the
// shared memory of the ones, `b` that of the others, which f may use: what comes is on its way in registers.
template <class T, class F>
__device__ __forceinline__ void over_dots(const HeadRows& left, int first, float* a,
                                          const HeadRows& right, float* b, const Stage& stage,
                                          int from, int to, const F& f) {
  Coming<T::k, T::n> next;
  if (from < to) next.load(right, from * T::k, 0);
  Coming<T::q, T::n> rows;
  rows.load(left, first, 0);
  __syncthreads();  // nobody reads what was there
  rows.store(a);
  for (int tile = from; tile < to; ++tile) {
    Dots<T> dots;
    for (int k0 = 0; k0 < left.columns; k0 += T::n) {
      __syncthreads();
      next.store(b);
      if (left.columns > T::n) copy_rows<T::q, T::n>(left, first, k0, a);
      __syncthreads();
      const bool more = k0 + T::n < left.columns;
      if (more || tile + 1 < to)
        next.load(right, (more ? tile : tile + 1) * T::k, more ? k0 + T::n : 0);
      dots.add(a, b, numbers_left<T>(left.columns, k0));
    }
    Scores<T> sums;
    dots.get(stage.data + tile * stage.step, stage.ld, sums);
    f(tile, sums);
  }
}

// ---- Dropout of probabilities ----

// Which elements of a tile are kept, bit i*columns + j: four neighbours share a Philox block, so each lane draws
// for others, too.
template <class T>
__device__ __forceinline__ unsigned kept_of(const Heads& of, const Now& now, const Block& at,
                                            int first_query, int first_key) {
  constexpr int kDraws = T::rows * T::columns / 4;
  const Mine<T> mine;
  const int quads = static_cast<int>(ceil_div(of.keys, kPanel) * kPanel) / 4;
  unsigned drawn = 0;
#pragma unroll
  for (int t = 0; t < kDraws; ++t) {
    const int m = 4 * t + mine.lane / 4, i = m / T::columns, j = m % T::columns;
    const auto query = static_cast<unsigned>(at.head * of.queries + first_query + mine.row + i);
    const unsigned quad = static_cast<unsigned>(first_key + j * kHalf) / 4 + mine.lane % 4;
    const Philox4 words = words_of(of.drawn, row_of(now), at.sample, query * quads + quad);
#pragma unroll
    for (int w = 0; w < 4; ++w)
      drawn |= static_cast<unsigned>(words.word[w] >= of.threshold) << (4 * t + w);
  }
  unsigned kept = 0;
#pragma unroll
  for (int s = 0; s < 4; ++s) {
    const unsigned from = __shfl_sync(kAll, drawn, 4 * s + mine.lane / 4, kHalf);
#pragma unroll
    for (int t = 0; t < kDraws; ++t) kept |= (from >> (4 * t + mine.lane % 4) & 1U) << (4 * t + s);
  }
  return kept;
}
template <class T> __device__ __forceinline__ float dropped(const Heads& of, unsigned kept, int i,
                                                            int j, float x) {
  if (!of.drops) return x;
  return kept >> (i * T::columns + j) & 1U ? x * of.kept : 0.0f;
}

// ---- Probabilities of a block's queries ----

// Its scores are held in shared memory, all tiles of keys side by side, or found again for each pass.
template <class T, bool kHeld> struct Softmax {
  const Heads& of;
  const Mine<T> mine;
  const HeadRows q, k;
  const int first, tiles, ld;
  const Stage stage;
  float *const a, *const b, *const own;  // shared: rows of Q, of K; mine of the scores
  int count[T::rows];
  float top[T::rows], share[T::rows];

  static STEEP_HD int columns(int keys) {  // of the scores
    return (kHeld ? (keys + T::k - 1) / T::k * T::k : T::k) + T::pad;
  }
  __device__ __forceinline__ Softmax(const Heads& heads, const Block& at, const Seen& seen,
                                     float* rows, float* keys, float* scores)
      : of(heads), q(heads.q, at, heads.size, heads.queries),
        k(heads.k, at, heads.size, heads.keys), first(at.first),
        tiles((seen.width((at.first + T::q < of.queries ? at.first + T::q : of.queries) - 1) +
               T::k - 1) /
              T::k),
        ld(columns(heads.keys)), stage{scores, ld, kHeld ? T::k : 0}, a(rows), b(keys),
        own(scores + mine.row * ld + mine.lane) {
#pragma unroll
    for (int i = 0; i < T::rows; ++i) {
      count[i] = seen.count(first + mine.row + i);
      top[i] = -__builtin_huge_valf();
    }
  }
  // Mine of the scores' memory at an element of a tile.
  __device__ __forceinline__ float& at(int tile, int i, int j) const {
    return own[i * ld + (kHeld ? tile * T::k : 0) + j * kHalf];
  }
  __device__ __forceinline__ float raised(float score, int i, int column) const {
    const float e = exp_down((score - top[i]) * of.scale);
    return column < count[i] ? e : 0.0f;
  }
  // What f(tile, x) gets is what probability() wants.
  template <class F> __device__ __forceinline__ void over_tiles(const F& f) const {
    if constexpr (kHeld) {
      for (int tile = 0; tile < tiles; ++tile) {
        Scores<T> x;
        mine.each([&](int i, int j, int, int) { x[i][j] = at(tile, i, j); });
        f(tile, x);
      }
    } else {
      over_dots<T>(q, first, a, k, b, stage, 0, tiles, f);
    }
  }
  __device__ __forceinline__ float probability(float x, int i, int column) const {
    return (kHeld ? x : raised(x, i, column)) * share[i];
  }
  // Finds top and share of each row; held are exponentials then.
  __device__ __forceinline__ void measure() {
    over_dots<T>(q, first, a, k, b, stage, 0, tiles, [&](int tile, const Scores<T>& x) {
      mine.each([&](int i, int j, int, int column) {
        if (tile * T::k + column < count[i]) top[i] = max_(x[i][j], top[i]);
        if constexpr (kHeld && T::exact) at(tile, i, j) = x[i][j];  // else it came by there
      });
    });
#pragma unroll
    for (int i = 0; i < T::rows; ++i) {
#pragma unroll
      for (int half = kHalf / 2; half > 0; half /= 2)
        top[i] = max_(__shfl_down_sync(kAll, top[i], half, kHalf), top[i]);
      top[i] = __shfl_sync(kAll, top[i], 0, kHalf);
    }
    float sum[T::rows] = {};
    over_tiles([&](int tile, const Scores<T>& x) {
      mine.each([&](int i, int j, int, int column) {
        const float e = raised(x[i][j], i, tile * T::k + column);
        if constexpr (kHeld) at(tile, i, j) = e;
        sum[i] += e;
      });
    });
#pragma unroll
    for (int i = 0; i < T::rows; ++i) share[i] = 1.0f / fold_lanes(sum[i]);
  }
};

// ---- Which tiles ----

inline long most_shared() {
  int bytes = 0;
  check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0),
        "shared memory");
  return bytes;
}
// What a tiling costs, infinite where it does not fit: elements, with what is wasted at the ends; dearer in small
// tiles, where a multiprocessor has room for one block alone, where some are idle, and where nothing is held. It
// changes no bit.
template <class T, bool kHeld>
double cost_of(const Heads& of, int samples, int length, int side, long bytes) {
  constexpr double kProcessors = 132;
  constexpr long kReserved = 1024;  // of a block's shared memory, by the system
  const long most = most_shared();
  if (bytes > most) return __builtin_huge_val();
  const double area = static_cast<double>(ceil_div(of.queries, T::q) * T::q) *
                      static_cast<double>(ceil_div(of.keys, T::k) * T::k);
  const double small = T::q * T::k >= 4096 ? 1 : T::q * T::k >= 2048 ? 1.2 : 1.5;
  const auto blocks = static_cast<double>(blocks_of<T>(of, samples, length, side));
  return area * small * (kHeld ? 1 : 4) * (2 * (bytes + kReserved) > most + kReserved ? 1.5 : 1) *
         (blocks < kProcessors ? kProcessors / blocks : 1);
}
// Shared memory of some blocks of queries, one of keys, and the scores of a block so many times.
template <class T, bool kHeld> long bytes_of(const Heads& of, int queries, int scores) {
  return static_cast<long>(sizeof(float)) * ((queries * T::q + T::k) * T::stride +
                                             scores * T::q * Softmax<T, kHeld>::columns(of.keys));
}
// Runs the cheapest of several launches.
template <class... Launch> void run_cheapest(const Launch&... launches) {
  double least = __builtin_huge_val();
  ((least = launches.cost() < least ? launches.cost() : least), ...);
  bool done = false;
  ((done || launches.cost() > least ? void() : (done = true, launches.run())), ...);
}
// f<format>() of the step's products; exact where the way back cannot hold rows of scores.
template <int kN, class F> void by_products(const Place& at, const Heads& of, const F& f) {
  const bool held = bytes_of<Tiling<32, 32, kN>, true>(of, 2, 2) <= most_shared();
  switch (held ? at.products : Products::Exact) {
    case Products::Exact: return f.template operator()<Exact>();
    case Products::TF32: return f.template operator()<TF32>();
    case Products::BFloat16: return f.template operator()<BFloat16>();
  }
}
// f<numbers of a head that are taken at a time, format>()
template <class F> void by_kind(const Place& at, const Heads& of, const F& f) {
  const auto take = [&]<int kN>() {
    by_products<kN>(at, of, [&]<class Format>() { f.template operator()<kN, Format>(); });
  };
  if (of.size <= 16) return take.template operator()<16>();
  if (of.size <= 32) return take.template operator()<32>();
  take.template operator()<64>();
}

}  // namespace steep::cuda
