// How the outputs of activations are spread in a recorded step: sums of each row by half a warp, in the CPU's order, then
// of all rows one after the other; and which units give nothing. Lengths of parameters are in records.cu.
#include "cuda/kernels/kernel.cuh"
#include "cuda/kernels/records.h"
#include "cuda/kernels/storage.cuh"

namespace steep::cuda {

namespace {

constexpr int kBlock = 128;
constexpr int kColumns = 32, kStrips = 8;  // of a block that looks at channels

// Distances from the row's first element, added and squared: whole vectors, sixteen of them in float and those of all
// in double; then what is left of the row.
__global__ void __launch_bounds__(kBlock) sum_row(int rows, WatchedOp op, View out) {
  constexpr int kRun = 16 * kHalf;
  const int lane = static_cast<int>(threadIdx.x) % kHalf;
  const int r = static_cast<int>((blockIdx.x * kBlock + threadIdx.x) / kHalf);
  const bool there = r < rows;
  const long from = (there ? r : 0) * out.ld;
  const float pivot = Either::get(out, from);
  const int n = there ? op.width : 0, whole = n / kHalf * kHalf;
  double sum = 0, squares = 0;
  int saturated = 0;
  const auto look = [&](int c, float& to, float& square) {
    const float value = Either::get(out, from + c), apart = value - pivot;
    to += apart;
    square = fma_(apart, apart, square);
    saturated += op.saturates && (value <= op.low || value >= op.high) ? 1 : 0;
  };
  for (int c = 0; c < whole;) {
    const int end = c + kRun < whole ? c + kRun : whole;
    float to = 0, square = 0;
    for (; c < end; c += kHalf) look(c + lane, to, square);
    sum += static_cast<double>(to);
    squares += static_cast<double>(square);
  }
  if (whole + lane < n) {
    float to = 0, square = 0;
    look(whole + lane, to, square);
    sum += static_cast<double>(to);
    squares += static_cast<double>(square);
  }
  sum = fold_lanes(sum);
  squares = fold_lanes(squares);
  saturated = fold_lanes(saturated);
  if (there && lane == 0)
    op.rows[r] = {static_cast<double>(pivot), sum, squares, static_cast<double>(saturated)};
}

// All positions of 32 channels, some rows side by side, until each channel has been seen alive. What an exponent has
// bits of is not 0.
__global__ void __launch_bounds__(kColumns* kStrips)
    look_for_alive(Now now, int rows, WatchedOp op, View out) {
  STEEP_SHARED(found, unsigned[kStrips][kColumns]);
  const int column = static_cast<int>(threadIdx.x) % kColumns,
            strip = static_cast<int>(threadIdx.x) / kColumns;
  const int c = static_cast<int>(blockIdx.x) * kColumns + column;
  const int last = c < op.channels ? op.width : 0;
  constexpr unsigned kExponent = BitsOf<float>::kInfinity;
  unsigned seen = 0;
  for (int r = strip; r < rows && (seen & kExponent) == 0; r += kStrips)
#pragma unroll 8
    for (int i = c; i < last; i += op.channels) seen |= bits_(Either::get(out, r * out.ld + i));
  found[strip][column] = seen & kExponent;
  __syncthreads();
  if (strip > 0 || c >= op.channels) return;
  unsigned alive = now.part > 0 ? op.alive[c] : 0;
  for (int s = 0; s < kStrips; ++s) alive |= found[s][column];
  op.alive[c] = alive;
}

// A block an op. Terms are made side by side, and added by one thread in the order of rows; mean and squares of two
// parts of a batch give those of both (Chan, Golub & LeVeque 1983).
__global__ void __launch_bounds__(kBlock) add_rows(Now now, const WatchedOp* ops) {
  STEEP_SHARED(staged, double[2][kBlock]);
  STEEP_SHARED(mean, double);
  const int t = static_cast<int>(threadIdx.x), rows = row_of(now).rows;
  const WatchedOp op = ops[blockIdx.x];
  const double width = static_cast<double>(op.width);
  const auto mean_of = [&](const RowSums& row) { return row.first + row.sum / width; };
  double sum = 0, squares = 0, saturated = 0;
  const auto each = [&](auto&& stage, auto&& add) {
    for (int first = 0; first < rows; first += kBlock) {
      if (first + t < rows) stage(op.rows[first + t]);
      __syncthreads();
      const int count = rows - first < kBlock ? rows - first : kBlock;
      for (int i = 0; t == 0 && i < count; ++i) add(i);
      __syncthreads();
    }
  };
  each([&](const RowSums& row) { staged[0][t] = mean_of(row); },
       [&](int i) { sum += staged[0][i]; });
  if (t == 0) mean = sum / static_cast<double>(rows);
  __syncthreads();
  each(
      [&](const RowSums& row) {
        const double apart = mean_of(row) - mean;
        staged[0][t] = (row.squares - row.sum * row.sum / width) + apart * apart * width;
        staged[1][t] = row.saturated;
      },
      [&](int i) {
        squares += staged[0][i];
        saturated += staged[1][i];
      });
  if (t != 0) return;
  Spread all = now.part > 0 ? *op.spread : Spread{};
  const double n = width * static_cast<double>(rows), both = all.count + n;
  const double apart = mean - all.mean;
  all.mean += apart * n / both;
  all.squares += squares + apart * apart * all.count * n / both;
  all.count = both;
  all.saturated += saturated;
  *op.spread = all;
}

__global__ void __launch_bounds__(kBlock)
    put_spread(Now now, const WatchedOp* ops, int parameters, RecordTable to) {
  const int t = static_cast<int>(threadIdx.x);
  const WatchedOp op = ops[blockIdx.x];
  int dead = 0;
  for (int first = 0; first < op.channels; first += kBlock) {
    const int c = first + t;
    dead += __syncthreads_count(c < op.channels && op.alive[c] == 0 ? 1 : 0);
  }
  if (t != 0) return;
  const Spread all = *op.spread;
  const double square = all.squares / all.count;
  double* const row = to.rows + to.row[here(now)] * to.columns + 4l * parameters + 4l * blockIdx.x;
  row[0] = all.mean;
  row[1] = __builtin_sqrt(0 < square ? square : 0);
  row[2] = static_cast<double>(dead) / static_cast<double>(op.channels);
  row[3] = op.saturates ? all.saturated / all.count : __builtin_nan("");
}

}  // namespace

void watch_rows(const Place& at, const WatchedOp& op, const View& out) {
  start(at.stream, dim3(blocks_of(static_cast<long>(at.rows) * kHalf, kBlock)), dim3(kBlock),
        sum_row, at.rows, op, out);
  start(at.stream, dim3(blocks_of(op.channels, kColumns)), dim3(kColumns * kStrips), look_for_alive,
        at.now, at.rows, op, out);
}

void add_watched(const Place& at, const WatchedOp* ops, int count) {
  start(at.stream, dim3(static_cast<unsigned>(count)), dim3(kBlock), add_rows, at.now, ops);
}

void put_watched(const Place& at, const WatchedOp* ops, int count, int parameters,
                 const RecordTable& to) {
  start(at.stream, dim3(static_cast<unsigned>(count)), dim3(kBlock), put_spread, at.now, ops,
        parameters, to);
}

}  // namespace steep::cuda
