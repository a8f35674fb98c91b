// The gradients of attention: blocks of queries find their probabilities again, their slopes and the gradients of
// Q, and note what blocks of keys then find the same numbers by, to sum the gradients of K and V.
#include "cuda/kernels/attention.cuh"

namespace steep::cuda {

namespace {

// What is noted of a query: the largest score, the share of an exponential, sum of P dP.
struct alignas(16) Note { float top, share, dot, none; };
__device__ __forceinline__ Note& note_of(const View& notes, const Heads& of, const Block& at,
                                         int query) {
  float* const row = notes.data + at.sample * notes.ld;
  return reinterpret_cast<Note*>(row)[at.head * of.queries + query];
}

// The slope of a score, by that of its probability.
__device__ __forceinline__ float slope_of(float p, float dp, float dot, float scale) {
  return p * (dp - dot) * scale;
}

template <class T, bool kHeld>
__global__ void __launch_bounds__(kAttending, kHeld ? 2 : 1)
    slope_rows(Heads of, Now now, Positions dy, View notes, Positions dq, bool accumulate) {
  STEEP_DYNAMIC_SHARED(shared, float);
  const Block at = block_of<T::q, T::n>(of, of.queries, true);
  const Seen seen(of, at.sample);
  float *const a = shared, *const u = a + T::q * T::stride, *const b = u + T::q * T::stride;
  float* const p = b + T::k * T::stride;
  Softmax<T, kHeld> softmax(of, at, seen, a, b, p);
  const Mine<T>& mine = softmax.mine;
  softmax.measure();
  const HeadRows up(dy, at, of.size, of.queries), v(of.v, at, of.size, of.keys);
  float* const own_dp = softmax.own + T::q * softmax.ld;  // where they are held
  const Stage stage{p + T::q * softmax.ld, softmax.ld, T::k};
  const auto kept = [&](int key) { return of.drops ? kept_of<T>(of, now, at, at.first, key) : 0U; };
  const auto place_of = [&](int tile, int i, int j) {
    return i * softmax.ld + tile * T::k + j * kHalf;
  };
  const int width = seen.width(at.first + mine.row);  // the same for all rows of a thread
  float dot[T::rows] = {};
  // P and dP of a tile into the sums of their products
  const auto add = [&](int tile, const Scores<T>& x, Scores<T>& dp) {
    const unsigned keep = kept(tile * T::k);
    mine.each([&](int i, int j, int, int column) {
      const float share = softmax.probability(x[i][j], i, tile * T::k + column);
      dp[i][j] = dropped<T>(of, keep, i, j, dp[i][j]);
      if (tile * T::k + column < width) dot[i] = fma_(share, dp[i][j], dot[i]);
      if constexpr (kHeld) {
        softmax.at(tile, i, j) = share;
        own_dp[place_of(tile, i, j)] = dp[i][j];
      }
    });
  };
  const auto dots_of = [&](int tile, const auto& f) {  // dP of one tile
    over_dots<T>(up, at.first, u, v, b, {}, tile, tile + 1, f);
  };
  if constexpr (kHeld) {
    over_dots<T>(up, at.first, u, v, b, stage, 0, softmax.tiles, [&](int tile, Scores<T>& dp) {
      Scores<T> x;
      mine.each([&](int i, int j, int, int) { x[i][j] = softmax.at(tile, i, j); });
      add(tile, x, dp);
    });
  } else {
    softmax.over_tiles([&](int tile, const Scores<T>& x) {
      dots_of(tile, [&](int, Scores<T>& dp) { add(tile, x, dp); });
    });
  }
#pragma unroll
  for (int i = 0; i < T::rows; ++i) {
    dot[i] = fold_lanes(dot[i]);
    const int query = at.first + mine.row + i;
    if (mine.lane == 0 && at.n0 == 0 && query < of.queries)
      note_of(notes, of, at, query) = {softmax.top[i], softmax.share[i], dot[i], 0.0f};
  }

  const HeadRows& k = softmax.k;
  const HeadRows to(dq, at, of.size, of.queries);
  SumsOfQueries<T> sums;
  if (accumulate) sums.each(to, at, [](const float* from, float& sum) { sum = *from; });
  const int reached = seen.width(at.first + sums.row);
  const auto multiply = [&](int tile) {
    Coming<T::k, T::n> next;
    next.load(k, tile * T::k, at.n0);
    __syncthreads();  // nobody reads b any more
    next.store(b);
    __syncthreads();
    const int left = reached - tile * T::k;
    sums.add(kHeld ? p + tile * T::k : p, softmax.ld, b, left < T::k ? left : T::k);
  };
  if constexpr (kHeld) {
    for (int tile = 0; tile < softmax.tiles; ++tile) {
      mine.each([&](int i, int j, int, int) {
        float& x = softmax.at(tile, i, j);
        x = slope_of(x, own_dp[place_of(tile, i, j)], dot[i], of.scale);
      });
      multiply(tile);
    }
  } else {
    softmax.over_tiles([&](int tile, const Scores<T>& x) {
      dots_of(tile, [&](int, const Scores<T>& dp) {
        const unsigned keep = kept(tile * T::k);
        mine.each([&](int i, int j, int, int column) {
          const float share = softmax.probability(x[i][j], i, tile * T::k + column);
          softmax.at(tile, i, j) =
              slope_of(share, dropped<T>(of, keep, i, j, dp[i][j]), dot[i], of.scale);
        });
      });
      multiply(tile);
    });
  }
  sums.each(to, at, [](float* p, float sum) { *p = sum; });
}

template <class T>
__global__ void __launch_bounds__(kAttending, 2)
    slope_keys(Heads of, Now now, Positions dy, View notes, Positions dk, Positions dv,
               bool accumulate) {
  STEEP_DYNAMIC_SHARED(shared, float);
  constexpr int kLd = T::k + T::pad;
  const Block at = block_of<T::k, T::n>(of, of.keys, false);
  const Seen seen(of, at.sample);
  float *const keys = shared, *const values = keys + T::k * T::stride;
  float *const a = values + T::k * T::stride, *const u = a + T::q * T::stride;
  float *const p = u + T::q * T::stride, *const ds = p + T::q * kLd;
  const HeadRows q(of.q, at, of.size, of.queries), k(of.k, at, of.size, of.keys);
  const HeadRows v(of.v, at, of.size, of.keys), up(dy, at, of.size, of.queries);
  const bool whole = of.size <= T::n;  // heads
  const Mine<T> mine;
  SumsOfKeys<T> to_k, to_v;
  // Of a causal head, queries before the panel of these keys reach none of them.
  const int panel = static_cast<int>((at.first + to_k.row) / kPanel * kPanel);
  const int start = of.causal ? at.first / T::q * T::q : 0;
  for (int first = at.first < seen.width(of.queries - 1) ? start : of.queries; first < of.queries;
       first += T::q) {
    const unsigned keep = of.drops ? kept_of<T>(of, now, at, first, at.first) : 0U;
    Note noted[T::rows];  // on their way while products are summed
#pragma unroll
    for (int i = 0; i < T::rows; ++i) {
      const int query = first + mine.row + i;
      noted[i] = query < of.queries ? note_of(notes, of, at, query) : Note{};
    }
    Dots<T, 1> scores, slopes;
    for (int k0 = 0; k0 < of.size; k0 += T::n) {
      __syncthreads();  // nobody reads what was there
      if (!whole || first == start) {
        copy_rows<T::k, T::n>(k, at.first, k0, keys);
        copy_rows<T::k, T::n>(v, at.first, k0, values);
      }
      copy_rows<T::q, T::n>(q, first, k0, a);
      copy_rows<T::q, T::n>(up, first, k0, u);
      __syncthreads();
      scores.add(a, keys, numbers_left<T>(of.size, k0));
      slopes.add(u, values, numbers_left<T>(of.size, k0));
    }
    if (!whole) {
      __syncthreads();
      copy_rows<T::q, T::n>(q, first, at.n0, a);
      copy_rows<T::q, T::n>(up, first, at.n0, u);
    }
    Scores<T> score, dp;
    scores.get(p, kLd, score);
    slopes.get(ds, kLd, dp);
#pragma unroll
    for (int i = 0; i < T::rows; ++i) {
      const int query = first + mine.row + i;
      const Note& note = noted[i];
      const int count = seen.count(query);
#pragma unroll
      for (int j = 0; j < T::columns; ++j) {
        const int column = mine.lane + j * kHalf, place = (mine.row + i) * kLd + column;
        const float e = exp_down((score[i][j] - note.top) * of.scale);
        const float share = (at.first + column < count ? e : 0.0f) * note.share;
        p[place] = dropped<T>(of, keep, i, j, share);
        ds[place] = slope_of(share, dropped<T>(of, keep, i, j, dp[i][j]), note.dot, of.scale);
      }
    }
    __syncthreads();
    const int end = of.queries - first < T::q ? of.queries - first : T::q;
    int from = 0;
    while (from < end && seen.width(first + from) <= panel) from += kQueriesTogether;
    to_k.add_turned(ds, kLd, a, from, end);
    to_v.add_turned(p, kLd, u, from, end);
  }
  const auto write = [=](float* to, float sum) { *to = accumulate ? *to + sum : sum; };
  to_k.each({dk, at, of.size, of.keys}, at, write);
  to_v.each({dv, at, of.size, of.keys}, at, write);
}

struct Back {
  const Place& place;
  const Heads& of;
  const Positions& dy;
  const View& notes;
  const Slopes& to;
  bool accumulate;
};

template <class T, bool kHeld> struct ByRows {
  const Back& back;
  long bytes() const { return bytes_of<T, kHeld>(back.of, 2, kHeld ? 2 : 1); }
  double cost() const {
    return cost_of<T, kHeld>(back.of, back.place.rows, back.of.queries, T::q, bytes());
  }
  void run() const {
    const long blocks = blocks_of<T>(back.of, back.place.rows, back.of.queries, T::q);
    start_with(static_cast<std::size_t>(bytes()), back.place.stream,
               dim3(static_cast<unsigned>(blocks)), dim3(kAttending), slope_rows<T, kHeld>, back.of,
               back.place.now, back.dy, back.notes, back.to.q, back.accumulate);
  }
};

template <class T> struct ByKeys {
  const Back& back;
  long bytes() const {
    const long heads = 2 * (T::q + T::k) * T::stride, tiles = 2 * T::q * (T::k + T::pad);
    return (heads + tiles) * static_cast<long>(sizeof(float));
  }
  double cost() const {
    return cost_of<T, true>(back.of, back.place.rows, back.of.keys, T::k, bytes());
  }
  void run() const {
    const long blocks = blocks_of<T>(back.of, back.place.rows, back.of.keys, T::k);
    start_with(static_cast<std::size_t>(bytes()), back.place.stream,
               dim3(static_cast<unsigned>(blocks)), dim3(kAttending), slope_keys<T>, back.of,
               back.place.now, back.dy, back.notes, back.to.k, back.to.v, back.accumulate);
  }
};

}  // namespace

void attend_back(const Place& at, const Heads& of, const Positions& dy, const View& notes,
                 const Slopes& to, bool accumulate) {
  const Back back{at, of, dy, notes, to, accumulate};
  by_kind(at, of, [&]<int kN, class Format>() {
    using Flat = Tiling<32, 64, kN, Format>;
    using Small = Tiling<32, 32, kN, Format>;
    const ByRows<Tiling<64, 64, kN, Format>, true> large{back};
    const ByRows<Flat, true> flat{back};
    const ByRows<Small, true> small{back};
    if constexpr (std::is_same_v<Format, Exact>) {
      run_cheapest(large, flat, small, ByRows<Flat, false>{back});
    } else {
      run_cheapest(large, flat, small);
    }
    run_cheapest(ByKeys<Flat>{back}, ByKeys<Small>{back});
  });
}

}  // namespace steep::cuda
