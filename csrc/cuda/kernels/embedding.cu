// Rows of a table, picked where ids name them or added to their positions, and the table's gradient: ids are put into
// buckets in their order, then each row gathers who named it, one after the other as on the CPU.
#include "cuda/kernels/each.cuh"
#include "cuda/kernels/embedding.h"

namespace steep::cuda {

namespace {

STEEP_HD long place_of(const Table& t, int row, int c) {
  return t.narrow ? t.w.panels.at(c, row) : t.w.panels.at(row, c);
}

// The row that a number names, or -1.
STEEP_HD int row_of(float id, int rows) {
  const int row = id >= 0.0f && id < static_cast<float>(rows) ? static_cast<int>(id) : -1;
  return row >= 0 && static_cast<float>(row) == id ? row : -1;
}

template <class> struct Picked {
  Table table;
  View ids;
  STEEP_HD float operator()(int r, int c) const {
    const int row = row_of(at(ids, r, c / table.units), table.rows);
    return row < 0 ? float_(0x7fc00000) : table.w.data[place_of(table, row, c % table.units)];
  }
};
template <class By> struct RowsAdded {
  Table table;
  View x;
  STEEP_HD float operator()(int r, int c) const {
    return at<By>(x, r, c) + table.w.data[place_of(table, c / table.units, c % table.units)];
  }
};

// ---- Who names which row ----

constexpr int kWarps = 8, kSteps = kStretch / (32 * kWarps);  // of a block; of a warp

struct Ids {
  View x;
  int rows, positions, skipped;
  int n;  // of the batch
  __device__ __forceinline__ int row(int i) const {
    if (i >= n) return -1;
    const int row = row_of(x.data[i / positions * x.ld + i % positions], rows);
    return row == skipped ? -1 : row;
  }
};

// Which lanes have the same bucket; none of them has where this one has no row.
__device__ __forceinline__ unsigned peers_of(int row) {
  unsigned peers = __ballot_sync(kAll, row >= 0);
#pragma unroll
  for (int bit = 1; bit < kBuckets; bit *= 2) {
    const bool mine = (row & bit) != 0;
    const unsigned set = __ballot_sync(kAll, mine);
    peers &= mine ? set : ~set;
  }
  return row >= 0 ? peers : 0u;
}

// A stretch of ids by a block: every warp has neighbouring ones, 32 at a time in their order. Calls
// each(place, row, i) with the place that comes next of the row's bucket, and moves that on.
struct Counts { int of[kWarps][kBuckets]; };
template <class Each>
__device__ __forceinline__ void over_ids(const Ids& ids, Counts& counts, const Each& each) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int first = static_cast<int>(blockIdx.x) * kStretch + warp * 32 * kSteps + lane;
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    const int i = first + 32 * step, row = ids.row(i);
    const unsigned peers = peers_of(row), before = peers & ((1u << lane) - 1);
    int* const count = &counts.of[warp][row & (kBuckets - 1)];
    if (row >= 0) each(*count + __popc(before), row, i);
    __syncwarp();
    if (row >= 0 && before == 0) *count += __popc(peers);
    __syncwarp();
  }
}

__device__ __forceinline__ void count_own(const Ids& ids, Counts& counts) {
  for (int w = 0; w < kWarps; ++w) counts.of[w][threadIdx.x] = 0;
  __syncthreads();
  over_ids(ids, counts, [](int, int, int) {});
  __syncthreads();
}

__global__ void __launch_bounds__(kBuckets) count_ids(Ids ids, int* counts) {
  STEEP_SHARED(s, Counts);
  const int t = static_cast<int>(threadIdx.x);
  count_own(ids, s);
  int sum = 0;
  for (int w = 0; w < kWarps; ++w) sum += s.of[w][t];
  counts[static_cast<long>(blockIdx.x) * kBuckets + t] = sum;
}

// What lies before each thread's number, and all of them.
__device__ __forceinline__ int sum_before(int mine, int (&warps)[kBuckets / 32], int& all) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  int sum = mine;
#pragma unroll
  for (int by = 1; by < 32; by *= 2) {
    const int other = __shfl_up_sync(kAll, sum, by);
    if (lane >= by) sum += other;
  }
  if (lane == 31) warps[warp] = sum;
  __syncthreads();
  int before = sum - mine;
  all = 0;
  for (int w = 0; w < kBuckets / 32; ++w) {
    if (w < warp) before += warps[w];
    all += warps[w];
  }
  return before;
}

// A thread a bucket finds where this stretch's part of it begins, of one stretch by itself; then every id goes there.
__global__ void __launch_bounds__(kBuckets)
    place_ids(Ids ids, int stretches, const int* counts, Named* named, int* first) {
  STEEP_SHARED(s, Counts);
  STEEP_SHARED(warps, int[kBuckets / 32]);
  const int t = static_cast<int>(threadIdx.x), own = static_cast<int>(blockIdx.x);
  int all = 0, earlier = 0, total = 0;
#pragma unroll 16
  for (int b = 0; b < stretches && stretches > 1; ++b) {
    const int count = counts[static_cast<long>(b) * kBuckets + t];
    if (b < own) earlier += count;
    all += count;
  }
  count_own(ids, s);
  for (int w = 0; w < kWarps && stretches == 1; ++w) all += s.of[w][t];
  const int begin = sum_before(all, warps, total);
  if (own == 0) {
    first[t] = begin;
    if (t == 0) first[kBuckets] = total;
  }
  int next = begin + earlier;
  for (int w = 0; w < kWarps; ++w) {
    const int count = s.of[w][t];
    s.of[w][t] = next;
    next += count;
  }
  __syncthreads();
  over_ids(ids, s, [=](int to, int row, int i) { named[to] = {row, i}; });
}

// Where a warp begins in the bucket of the row that it gathers: that of its own number, or of an id, where none before
// it names the same.
struct Begun { int row, from; };
template <bool kRows>
__device__ __forceinline__ Begun begin_of(const Table& dw, const Named* named, const int* first,
                                          int number) {
  constexpr Begun kNone{-1, 0};
  if constexpr (kRows)
    return number < dw.rows ? Begun{number, first[number & (kBuckets - 1)]} : kNone;
  if (number >= first[kBuckets]) return kNone;
  const int lane = static_cast<int>(threadIdx.x) % 32, row = named[number].row;
  for (int from = first[row & (kBuckets - 1)]; from < number; from += 32) {
    const bool same = from + lane < number && named[from + lane].row == row;
    if (__any_sync(kAll, same)) return kNone;
  }
  return {row, number};
}

// A warp a panel of a row's columns goes through who named it, so many times 32 at once: for each row or, of more rows
// than ids, for each id. All that is added is asked for before the first addition.
template <bool kRows, int kWindows, class By>
__global__ void __launch_bounds__(256)
    sum_named(Table dw, View dy, const Named* named, const int* first, bool accumulate) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int panels = (dw.units + 31) / 32;
  const long warp = (static_cast<long>(blockIdx.x) * 256 + threadIdx.x) / 32;
  const int c = static_cast<int>(warp % panels) * 32 + lane;
  const Begun begun = begin_of<kRows>(dw, named, first, static_cast<int>(warp / panels));
  const int row = begun.row;
  if (row < 0) return;  // the same for all of a warp
  const bool there = c < dw.units;
  float* const to = dw.w.data + (there ? place_of(dw, row, c) : 0);
  float sum = accumulate && there ? *to : 0.0f;
  bool any = false;
  const int end = first[(row & (kBuckets - 1)) + 1];
  for (int next = begun.from; next < end; next += 32 * kWindows) {
    long offset[kWindows];
    unsigned names[kWindows];
    float add[kWindows][32];
#pragma unroll
    for (int w = 0; w < kWindows; ++w) {
      const int i = next + 32 * w + lane;
      const Named it = i < end ? named[i] : Named{-1, 0};
      offset[w] = it.by / dw.positions * dy.ld + static_cast<long>(it.by % dw.positions) * dw.units;
      names[w] = __ballot_sync(kAll, it.row == row);
      any = any || names[w] != 0;
    }
#pragma unroll
    for (int w = 0; w < kWindows; ++w) {
      unsigned left = names[w];
#pragma unroll
      for (int j = 0; j < 32; ++j) {
        if (left == 0) break;
        const long at = __shfl_sync(kAll, offset[w], __ffs(static_cast<int>(left)) - 1);
        add[w][j] = there ? By::get(dy, at + c) : 0.0f;
        left &= left - 1;
      }
    }
#pragma unroll
    for (int w = 0; w < kWindows; ++w) {
      const int count = __popc(names[w]);
#pragma unroll
      for (int j = 0; j < 32; ++j) {
        if (j >= count) break;
        sum = sum + add[w][j];
      }
    }
  }
  if (there && (any || !accumulate)) *to = sum;
}

template <class By> struct TableSums {
  int samples;
  Table dw;
  View dy;
  bool accumulate;
  __device__ __forceinline__ void operator()(int p, int c) const {
    float* const to = dw.w.data + place_of(dw, p, c);
    const long from = static_cast<long>(p) * dw.units + c;
    float sum = accumulate ? *to : 0.0f;
#pragma unroll 16
    for (int r = 0; r < samples; ++r) sum = sum + By::get(dy, from + r * dy.ld);
    *to = sum;
  }
};

}  // namespace

void pick_rows(const Place& at, const Table& table, const View& ids, const View& y) {
  write_values<Picked>(at, y, false, table, ids);
}

void add_table(const Place& at, const Table& table, const View& x, const View& y) {
  write_values<RowsAdded>(at, y, false, table, x);
}

void scatter_rows(const Place& at, const Table& dw, int skipped, const View& ids, const View& dy,
                  const Buckets& buckets, bool accumulate) {
  const int n = at.rows * dw.positions;
  const Ids all{ids, dw.rows, dw.positions, skipped, n};
  const unsigned stretches = blocks_of(n, kStretch);
  if (stretches > 1) {
    start(at.stream, dim3(stretches), dim3(kBuckets), count_ids, all, buckets.counts);
  }
  start(at.stream, dim3(stretches), dim3(kBuckets), place_ids, all, static_cast<int>(stretches),
        buckets.counts, buckets.named, buckets.first);
  const bool by_row = dw.rows <= n, often = n / 16 >= dw.rows;
  if (!by_row && !accumulate) {
    const auto bytes = static_cast<std::size_t>(dw.w.panels.size()) * sizeof(float);
    check(cudaMemsetAsync(dw.w.data, 0, bytes, at.stream), "gradients");
  }
  const long warps = static_cast<long>(by_row ? dw.rows : n) * ((dw.units + 31) / 32);
  with_storage(
      [&]<class By>(By) {
        start(at.stream, dim3(blocks_of(warps, kWarps)), dim3(256),
              often    ? sum_named<true, 2, By>
              : by_row ? sum_named<true, 1, By>
                       : sum_named<false, 1, By>,
              dw, dy, buckets.named, buckets.first, accumulate);
      },
      dy);
}

void sum_tables(const Place& at, const Table& dw, const View& dy, bool accumulate) {
  Place rows = at;
  rows.rows = dw.rows;
  with_storage(
      [&]<class By>(By) { each(rows, dw.units, TableSums<By>{at.rows, dw, dy, accumulate}); }, dy);
}

}  // namespace steep::cuda
