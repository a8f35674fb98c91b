// What is measured for records of a training: lengths of blocks and of steps, and how rows of activations are
// spread. What is done with the sums: update.cpp and watch.cpp.
#include "cpu/kernels/fill.h"
#include "cpu/record_kernels.h"
#include "cpu/simd/lanes.h"

namespace steep::STEEP_ISA {
namespace {

constexpr long kRun = 8;  // vectors that are added in T before they are in double

// Sums of squares of what look(i, values) finds of the kLane elements from i on, n in all. Two vectors take turns: a
// sum waits for the last one otherwise.
template <long kSums, class T, class Look> void add_squares(long n, double* sums, Look&& look) {
  using L = Lanes<T, kLane>;
  double lane[kSums][kLane] = {};
  for (long i = 0; i < n;) {
    const long end = i + kRun * kLane < n ? i + kRun * kLane : n;
    L part[2][kSums], x[kSums];
    for (auto& of : part)
      for (L& sum : of) sum = L::all(0);
    const auto add = [&](long at, L* to) {
      look(at, x);
      for (long k = 0; k < kSums; ++k) to[k] = fma_(x[k], x[k], to[k]);
    };
    for (; i + kLane < end; i += 2 * kLane) add(i, part[0]), add(i + kLane, part[1]);
    for (; i < end; i += kLane) add(i, part[0]);
    for (long k = 0; k < kSums; ++k) {
      T whole[kLane];
      (part[0][k] + part[1][k]).store(whole);
      for (long j = 0; j < kLane; ++j) lane[k][j] += double(whole[j]);
    }
  }
  for (long k = 0; k < kSums; ++k) sums[k] = sum_lanes(lane[k]);
}

// The same in double, for what squares of T do not hold: below the first bound, what is flushed to 0 might be most of
// a sum. A sum of 0 is not known to be one.
template <long kSums, class Look> void add_squares_one_by_one(long n, double* sums, Look&& look) {
  double lane[kSums][kLane] = {};
  for (long i = 0; i < n; i += kLane) {
    for (long j = 0; j < kLane; ++j) {
      double x[kSums];
      look(i + j, x);
      for (long k = 0; k < kSums; ++k) lane[k][j] = fma_(x[k], x[k], lane[k][j]);
    }
  }
  for (long k = 0; k < kSums; ++k) sums[k] = sum_lanes(lane[k]);
}
template <class T> bool sound(double squares) {
  return sizeof(T) == sizeof(double) || (squares > 1e-25 && squares < 1e30);
}

template <class T>
double squares(const T* x, long n) {
  double sum;
  add_squares<1, T>(n, &sum, [&](long i, auto* of) { of[0] = Lanes<T, kLane>::load(x + i); });
  if (!sound<T>(sum))
    add_squares_one_by_one<1>(n, &sum, [&](long i, double* of) { of[0] = double(x[i]); });
  return sum;
}

// A difference is rounded once, whatever cancels.
template <class T>
void moved(const T* before, const T* after, long n, double* weight, double* update) {
  double sums[2];
  add_squares<2, T>(n, sums, [&](long i, auto* of) {
    of[0] = Lanes<T, kLane>::load(before + i);
    of[1] = Lanes<T, kLane>::load(after + i) - of[0];
  });
  if (!sound<T>(sums[0]) || !sound<T>(sums[1])) {
    add_squares_one_by_one<2>(n, sums, [&](long i, double* of) {
      of[0] = double(before[i]);
      of[1] = double(after[i]) - of[0];
    });
  }
  *weight = sums[0];
  *update = sums[1];
}

// What has been seen of the elements of a row: x - pivot added and squared, those beyond limits.
template <bool saturates, class T> struct Seen {
  using L = Lanes<T, kLane>;
  L sum = L::all(0), square = L::all(0), beyond = L::all(0);

  void look(const L& x, const L& pivot, T low, T high, T* largest) {
    const L apart = x - pivot;
    sum = sum + apart;
    square = fma_(apart, apart, square);
    for (int i = 0; i < L::parts; ++i) {
      const auto part = x.part[i];
      if constexpr (saturates)
        beyond.part[i] += (part <= low) | (part >= high) ? L::all(1).part[i] : L::all(0).part[i];
      typename L::Reg most;
      T* const to = largest + i * L::width;
      __builtin_memcpy(&most, to, sizeof(most));
      const auto size = part < 0 ? -part : part;
      most = size > most ? size : most;
      __builtin_memcpy(to, &most, sizeof(most));
    }
  }
  static double of(const L& x) {
    T lane[kLane];
    x.store(lane);
    return double(sum_lanes(lane));
  }
};

// About the row's first element, so that a deviation far smaller than the mean is not lost. Vectors are added in T,
// kRun at a time; what is left of a row is filled up with that element.
template <bool saturates, class T>
RowSums sums_of(const T* x, long columns, T low, T high, T* largest) {
  using L = Lanes<T, kLane>;
  const L pivot = L::all(x[0]);
  RowSums all{double(x[0]), 0, 0, 0};
  for (long c = 0; c < columns;) {
    Seen<saturates, T> seen;
    const long whole = columns / kLane * kLane;
    const long end = c + kRun * kLane < whole ? c + kRun * kLane : whole;
    for (; c < end; c += kLane) seen.look(L::load(x + c), pivot, low, high, largest + c);
    long filled = 0;
    if (c == whole && c < columns) {
      T rest[kLane], most[kLane] = {};
      for (long j = 0; j < kLane; ++j) rest[j] = c + j < columns ? x[c + j] : x[0];
      for (long j = 0; c + j < columns; ++j) most[j] = largest[c + j];
      seen.look(L::load(rest), pivot, low, high, most);
      for (long j = 0; c + j < columns; ++j) largest[c + j] = most[j];
      filled = kLane - (columns - c);
      c = columns;
    }
    all.sum += Seen<saturates, T>::of(seen.sum);
    all.squares += Seen<saturates, T>::of(seen.square);
    if constexpr (saturates) {
      all.saturated += Seen<saturates, T>::of(seen.beyond);
      if (x[0] <= low || x[0] >= high) all.saturated -= double(filled);
    }
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
