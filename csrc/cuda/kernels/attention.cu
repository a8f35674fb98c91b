// Attention forward: a block has the probabilities of some queries of a head, and the products by V.
#include "cuda/kernels/attention.cuh"

namespace steep::cuda {

namespace {

template <class T, bool kHeld>
__global__ void __launch_bounds__(kAttending, kHeld ? 2 : 1)
    attend_rows(Heads of, Now now, Positions y) {
  STEEP_DYNAMIC_SHARED(shared, float);
  const Block at = block_of<T::q, T::n>(of, of.queries, true);
  const Seen seen(of, at.sample);
  float *const a = shared, *const b = a + T::q * T::stride, *const p = b + T::k * T::stride;
  Softmax<T, kHeld> softmax(of, at, seen, a, b, p);
  softmax.measure();
  const HeadRows v(of.v, at, of.size, of.keys);
  SumsOfQueries<T> sums;
  const int width = seen.width(at.first + sums.row);
  softmax.over_tiles([&](int tile, const Scores<T>& x) {
    const int key = tile * T::k;
    Coming<T::k, T::n> next;
    next.load(v, key, at.n0);
    unsigned kept = 0;
    if (of.drops) kept = kept_of<T>(of, now, at, at.first, key);
    softmax.mine.each([&](int i, int j, int, int column) {
      softmax.at(tile, i, j) =
          dropped<T>(of, kept, i, j, softmax.probability(x[i][j], i, key + column));
    });
    __syncthreads();  // nobody reads b any more
    next.store(b);
    __syncthreads();
    const int left = width - key;
    sums.add(kHeld ? p + key : p, softmax.ld, b, left < T::k ? left : T::k);
  });
  sums.each({y, at, of.size, of.queries}, at, [](float* to, float sum) { *to = sum; });
}

template <class T, bool kHeld> struct Attend {
  const Place& place;
  const Heads& of;
  const Positions& y;
  long bytes() const { return bytes_of<T, kHeld>(of, 1, 1); }
  double cost() const { return cost_of<T, kHeld>(of, place.rows, of.queries, T::q, bytes()); }
  void run() const {
    const long blocks = blocks_of<T>(of, place.rows, of.queries, T::q);
    start_with(static_cast<std::size_t>(bytes()), place.stream, dim3(static_cast<unsigned>(blocks)),
               dim3(kAttending), attend_rows<T, kHeld>, of, place.now, y);
  }
};

}  // namespace

void attend(const Place& at, const Heads& of, const Positions& y) {
  by_kind(at, of, [&]<int kN, class Format>() {
    const Attend<Tiling<64, 64, kN, Format>, true> large{at, of, y};
    const Attend<Tiling<32, 64, kN, Format>, true> flat{at, of, y};
    const Attend<Tiling<32, 32, kN, Format>, true> small{at, of, y};
    if constexpr (std::is_same_v<Format, Exact>) {
      run_cheapest(large, flat, small, Attend<Tiling<64, 64, kN>, false>{at, of, y});
    } else {
      run_cheapest(large, flat, small);
    }
  });
}

}  // namespace steep::cuda
