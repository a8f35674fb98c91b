// What is measured for records of a training: lengths of blocks and of steps, and how rows of activations are
// spread. What is done with the sums: update.cpp and watch.cpp.
#include "cpu/kernels/fill.h"
#include "cpu/record_kernels.h"

namespace steep::STEEP_ISA {
namespace {

template <class T>
double squares(const T* x, long n) {
  double lane[kLane] = {};
  for (long i = 0; i < n; i += kLane)
    for (long j = 0; j < kLane; ++j) lane[j] = fma_(double(x[i + j]), double(x[i + j]), lane[j]);
  return sum_lanes(lane);
}

// The difference is exact in double where the weights are float.
template <class T>
void moved(const T* before, const T* after, long n, double* weight, double* update) {
  double length[kLane] = {}, way[kLane] = {};
  for (long i = 0; i < n; i += kLane) {
    for (long j = 0; j < kLane; ++j) {
      const double w = double(before[i + j]), step = double(after[i + j]) - w;
      length[j] = fma_(w, w, length[j]);
      way[j] = fma_(step, step, way[j]);
    }
  }
  *weight = sum_lanes(length);
  *update = sum_lanes(way);
}

constexpr long kRun = 8;  // vectors whose differences are added in T before they are in double

// About the row's first element, so that a deviation far smaller than the mean is not lost.
template <bool saturates, class T>
RowSums sums_of(const T* __restrict x, long columns, T low, T high, T* __restrict largest) {
  const T pivot = x[0];
  RowSums all{double(pivot), 0, 0, 0};
  const auto beyond = [&](T value) { return value <= low || value >= high ? T(1) : T(0); };
  const auto larger = [](T a, T b) { return a > b ? a : b; };
  long c = 0;
  for (long whole = columns / kLane; whole > 0; whole -= kRun) {
    T sum[kLane] = {}, square[kLane] = {}, saturated[kLane] = {};
    for (const long end = c + (whole < kRun ? whole : kRun) * kLane; c < end; c += kLane) {
#pragma GCC ivdep
      for (long j = 0; j < kLane; ++j) {
        const T value = x[c + j], apart = value - pivot;
        sum[j] += apart;
        square[j] = fma_(apart, apart, square[j]);
        if constexpr (saturates) saturated[j] += beyond(value);
        largest[c + j] = larger(abs_(value), largest[c + j]);
      }
    }
    all.sum += double(sum_lanes(sum));
    all.squares += double(sum_lanes(square));
    if constexpr (saturates) all.saturated += double(sum_lanes(saturated));
  }
  for (; c < columns; ++c) {
    const double apart = double(x[c]) - double(pivot);
    all.sum += apart;
    all.squares = fma_(apart, apart, all.squares);
    if constexpr (saturates) all.saturated += double(beyond(x[c]));
    largest[c] = larger(abs_(x[c]), largest[c]);
  }
  return all;
}

template <class T>
void row_sums(const T* x, long ldx, long rows, long columns, double low, double high, RowSums* sums,
              T* largest) {
  for (long r = 0; r < rows; ++r) {
    sums[r] = low < high ? sums_of<true>(x + r * ldx, columns, T(low), T(high), largest)
                         : sums_of<false>(x + r * ldx, columns, T(low), T(high), largest);
  }
}

}  // namespace

// Called by ../isa.cpp on processors that have this instruction set.
RecordKernels<float> float_records() { return {squares<float>, moved<float>, row_sums<float>}; }
RecordKernels<double> double_records() {
  return {squares<double>, moved<double>, row_sums<double>};
}

}  // namespace steep::STEEP_ISA
