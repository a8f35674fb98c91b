// Attention in dual numbers: the probabilities of some heads lie in memory, forward and again for the gradient. Half a
// warp has a query, a thread an element of what is summed; sums go in the CPU's order.
#include "cuda/kernels/tangent.cuh"
// The line above comes first.
#include "cuda/kernels/drawn.cuh"
#include "cuda/kernels/tangent_attention.h"

namespace steep::cuda {

namespace {

constexpr int kPanelKeys = 32;

STEEP_HD DualNumber* place(const DualPositions& x, int r, int position, int c) {
  return x.data + r * x.ld + static_cast<long>(position) * x.step + c;
}

// One head of one sample, and where its probabilities lie: those of all queries, `many` apart.
struct Unit {
  int r, head;
  long at;
};

struct Units {
  DualHeads of;
  int first, count;  // among the heads of all samples
  STEEP_HD Unit unit(int i) const {
    return {(first + i) / of.heads, (first + i) % of.heads,
            static_cast<long>(i) * of.queries * of.many};
  }
  STEEP_HD int limit(int r) const {
    if (!of.lengths.data) return of.keys;
    const double given = get(of.lengths, r, 0).v;
    return given >= 1 && given < of.keys ? static_cast<int>(given) : of.keys;
  }
  STEEP_HD int seen(int r, int query) const {
    const int all = limit(r);
    return of.causal && query + 1 < all ? query + 1 : all;
  }
  // How wide the rows of the queries are that are taken together with this one.
  STEEP_HD int wide(int r, int query) const {
    const int end = (query / of.together + 1) * of.together;
    const int most = seen(r, (end < of.queries ? end : of.queries) - 1);
    return most < 1 ? kPanelKeys : (most + kPanelKeys - 1) / kPanelKeys * kPanelKeys;
  }
  STEEP_HD Dual scale() const { return Dual(1) / sqrt_(Dual(static_cast<double>(of.head))); }
};

// A query by half a warp.
struct Query {
  int lane, i;
  bool there;
  Unit unit{};
  long row = 0;
  int count = 0, wide = 0;
  __device__ Query(const Units& all) : lane(static_cast<int>(threadIdx.x) % kHalf) {
    const long n = (static_cast<long>(blockIdx.x) * 64 + threadIdx.x) / kHalf;
    i = static_cast<int>(n % all.of.queries);
    there = n / all.of.queries < all.count;
    if (!there) return;
    unit = all.unit(static_cast<int>(n / all.of.queries));
    row = unit.at + static_cast<long>(i) * all.of.many;
    count = all.seen(unit.r, i);
    wide = all.wide(unit.r, i);
  }
};

// Sum over the numbers of a head, of a key that there may not be.
__device__ __forceinline__ Dual meet(const DualPositions& a, const DualPositions& b,
                                     const Query& at, const DualHeads& of, int key) {
  if (key >= of.keys) return 0;
  const DualNumber* const left = place(a, at.unit.r, at.i, at.unit.head * of.head);
  const DualNumber* const right = place(b, at.unit.r, key, at.unit.head * of.head);
  Dual sum = 0;
  for (int k = 0; k < of.head; ++k) sum = fma_(get(left + k), get(right + k), sum);
  return sum;
}

// What dropout leaves of the probability of a key.
__device__ __forceinline__ Dual dropped(const Units& all, const Now& now, const Query& at, int key,
                                        Dual x) {
  if (!all.of.drops) return x;
  const uint32_t block = static_cast<uint32_t>(
      (static_cast<long>(at.unit.head) * all.of.queries + at.i) * (all.of.many / 4));
  const Philox4 bits = words_of(all.of.drawn, row_of(now), at.unit.r, block + key / 4);
  const uint32_t threshold = static_cast<uint32_t>(llround(all.of.rate * 4294967296.0));
  return bits.word[key % 4] >= threshold ? x * Dual(1 / (1 - all.of.rate)) : Dual(0);
}

// p = probabilities, 0 of keys that are not seen.
__device__ void find_probabilities(const Units& all, const Query& at, DualNumber* p) {
  Dual top = -__builtin_huge_val(), sum = 0;
  for (int c = at.lane; c < at.count; c += kHalf) {
    const Dual score = meet(all.of.q, all.of.k, at, all.of, c);
    put(p + at.row + c, score);
    top = max_(score, top);
  }
#pragma unroll
  for (int half = kHalf / 2; half > 0; half /= 2) top = max_(down(top, half), top);
  top = first_of(top);
  const Dual scale = all.scale();
  for (int c = at.lane; c < at.wide; c += kHalf) {
    const Dual e = c < at.count ? exp_down((get(p + at.row + c) - top) * scale) : Dual(0);
    put(p + at.row + c, e);
    sum += e;
  }
  const Dual share = Dual(1) / fold(sum);
  for (int c = at.lane; c < at.wide; c += kHalf)
    put(p + at.row + c, at.count < 1 ? Dual(0) : get(p + at.row + c) * share);
}

__global__ void __launch_bounds__(64) probabilities(Now now, Units all, DualNumber* p) {
  const Query at(all);
  find_probabilities(all, at, p);
  for (int c = at.lane; c < at.wide; c += kHalf)
    put(p + at.row + c, dropped(all, now, at, c, get(p + at.row + c)));
}

// p = probabilities after dropout, ds = gradients of the scores.
__global__ void __launch_bounds__(64)
    slopes(Now now, Units all, DualPositions dy, DualNumber* p, DualNumber* ds) {
  const Query at(all);
  find_probabilities(all, at, p);
  Dual sum = 0;
  for (int c = at.lane; c < at.wide; c += kHalf) {
    const Dual up = dropped(all, now, at, c, meet(dy, all.of.v, at, all.of, c));
    put(ds + at.row + c, up);
    sum = fma_(get(p + at.row + c), up, sum);
  }
  const Dual dot = fold(sum), scale = all.scale();
  for (int c = at.lane; c < at.wide; c += kHalf) {
    const Dual share = get(p + at.row + c);
    put(ds + at.row + c, share * (get(ds + at.row + c) - dot) * scale);
    put(p + at.row + c, dropped(all, now, at, c, share));
  }
}

// y (+)= p b, of a query and a number of its head, over the keys.
struct OfQueries {
  Units all;
  const DualNumber* p;
  DualPositions b, y;
  bool accumulate;
  STEEP_HD void operator()(int number, int c) const {
    const DualHeads& of = all.of;
    const Unit unit = all.unit(number);
    const int i = c / of.head, e = unit.head * of.head + c % of.head;
    const DualNumber* const row = p + unit.at + static_cast<long>(i) * of.many;
    DualNumber* const to = place(y, unit.r, i, e);
    Dual sum = accumulate ? get(to) : Dual(0);
    const int wide = all.wide(unit.r, i);
    for (int key = 0; key < wide; ++key) {
      const Dual other = key < of.keys ? get(place(b, unit.r, key, e)) : Dual(0);
      sum = fma_(get(row + key), other, sum);
    }
    put(to, sum);
  }
};

// y (+)= p^T b, of a key and a number of its head, over the queries that are wide enough.
struct OfKeys {
  Units all;
  const DualNumber* p;
  DualPositions b, y;
  bool accumulate;
  STEEP_HD void operator()(int number, int c) const {
    const DualHeads& of = all.of;
    const Unit unit = all.unit(number);
    const int key = c / of.head, e = unit.head * of.head + c % of.head;
    Dual sum = 0;
    for (int i = 0; i < of.queries; ++i) {
      if (key >= all.wide(unit.r, i)) continue;
      const Dual share = get(p + unit.at + static_cast<long>(i) * of.many + key);
      sum = fma_(share, get(place(b, unit.r, i, e)), sum);
    }
    leave(place(y, unit.r, key, e), sum, accumulate);
  }
};

// Calls take(units, where) for as many heads at a time as there is room for.
template <class Take> void over_units(const Place& at, const DualHeads& of, const Take& take) {
  const long each = static_cast<long>(of.queries) * of.many, most = kDualRoom / each;
  const int all = at.rows * of.heads, together = most < 1 ? 1 : static_cast<int>(most);
  for (int first = 0; first < all; first += together) {
    const int count = all - first < together ? all - first : together;
    Place some = at;
    some.rows = count;
    take(Units{of, first, count}, some);
  }
}
dim3 halves(const Units& all) {
  return dim3(blocks_of(static_cast<long>(all.count) * all.of.queries, 64 / kHalf));
}

}  // namespace

void attend(const Place& at, const DualHeads& of, DualNumber* room, const DualPositions& y) {
  over_units(at, of, [&](const Units& all, const Place& some) {
    start(at.stream, halves(all), dim3(64), probabilities, at.now, all, room);
    each(some, of.queries * of.head, OfQueries{all, room, of.v, y, false});
  });
}

void attend_back(const Place& at, const DualHeads& of, DualNumber* room, const DualPositions& dy,
                 const DualSlopes& to, bool accumulate) {
  over_units(at, of, [&](const Units& all, const Place& some) {
    DualNumber* const ds = room + static_cast<long>(all.count) * of.queries * of.many;
    start(at.stream, halves(all), dim3(64), slopes, at.now, all, dy, room, ds);
    each(some, of.queries * of.head, OfQueries{all, ds, of.k, to.q, accumulate});
    each(some, of.keys * of.head, OfKeys{all, ds, of.q, to.k, accumulate});
    each(some, of.keys * of.head, OfKeys{all, room, dy, to.v, accumulate});
  });
}

}  // namespace steep::cuda
