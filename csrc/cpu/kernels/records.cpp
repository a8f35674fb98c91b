// What is measured for records of a training: lengths of blocks and of steps, and how rows of activations are
// spread. What is done with the sums: update.cpp and watch.cpp.
#include "cpu/kernels/fill.h"
#include "cpu/kernels/sweep.h"
#include "cpu/record_kernels.h"
#include "cpu/simd/lanes.h"
#include "rules/list.h"

namespace steep::STEEP_ISA {
namespace {

// lane (+)= x, at most eight elements at a time: of more, the compiler converts some one by one.
template <bool adds, class T, int n>
STEEP_HD void put_part(typename RegOf<T, n>::type x, double* lane) {
  if constexpr (n == 1) {
    *lane = adds ? *lane + double(x) : double(x);
  } else {
    typedef double Doubles __attribute__((vector_size(n * sizeof(double))));
    Doubles to, from = __builtin_convertvector(x, Doubles);
    if constexpr (adds) {
      __builtin_memcpy(&to, lane, sizeof(to));
      from += to;
    }
    __builtin_memcpy(lane, &from, sizeof(from));
  }
}
template <bool adds, class T> STEEP_HD void put_lanes(const Lanes<T, kLane>& x, double* lane) {
  using L = Lanes<T, kLane>;
#pragma GCC unroll 16
  for (int i = 0; i < L::parts; ++i) {
    const auto part = x.part[i];
    double* const to = lane + i * L::width;
    if constexpr (L::width == 16) {
      put_part<adds, T, 8>(__builtin_shufflevector(part, part, 0, 1, 2, 3, 4, 5, 6, 7), to);
      put_part<adds, T, 8>(__builtin_shufflevector(part, part, 8, 9, 10, 11, 12, 13, 14, 15),
                           to + 8);
    } else {
      put_part<adds, T, L::width>(part, to);
    }
  }
}

// Sums of squares of what look(i) gives of the kLane elements from i on, n in all: kRun vectors in T, those of all in
// double. Vectors take turns: a sum waits for the last one otherwise.
template <class T, class Look> double add_squares(long n, Look&& look) {
  using L = Lanes<T, kLane>;
  constexpr long kRun = 32, kTurns = 4;
  double lane[kLane] = {};
  for (long i = 0; i < n;) {
    const long end = i + kRun * kLane < n ? i + kRun * kLane : n;
    L part[kTurns];
    for (L& sum : part) sum = L::all(0);
    const auto add = [&](long at, L& to) {
      const L x = look(at);
      to = fma_(x, x, to);
    };
    for (; i + (kTurns - 1) * kLane < end; i += kTurns * kLane)
#pragma GCC unroll 4
      for (long k = 0; k < kTurns; ++k) add(i + k * kLane, part[k]);
    for (; i < end; i += kLane) add(i, part[0]);
    put_lanes<true, T>((part[0] + part[1]) + (part[2] + part[3]), lane);
  }
  return sum_lanes(lane);
}

// The same in double, for what squares of T do not hold: below the first bound, what is flushed to 0 might be most of
// a sum. A sum of 0 is not known to be one.
template <class Look> double add_squares_one_by_one(long n, Look&& look) {
  double lane[kLane] = {};
  for (long i = 0; i < n; i += kLane)
    for (long j = 0; j < kLane; ++j) {
      const double x = look(i + j);
      lane[j] = fma_(x, x, lane[j]);
    }
  return sum_lanes(lane);
}
template <class T> bool sound(double squares) {
  return sizeof(T) == sizeof(double) ? squares * 0 == 0 : squares > 1e-25 && squares < 1e30;
}

template <class T> double squares(const T* x, long n) {
  const double sum = add_squares<T>(n, [&](long i) { return Lanes<T, kLane>::load(x + i); });
  if (sound<T>(sum)) return sum;
  return add_squares_one_by_one(n, [&](long i) { return double(x[i]); });
}

template <class T> double keep(const T* x, long n, T* copy) {
  const double sum = add_squares<T>(n, [&](long i) {
    const auto part = Lanes<T, kLane>::load(x + i);
    part.store(copy + i);
    return part;
  });
  if (sound<T>(sum)) return sum;
  return add_squares_one_by_one(n, [&](long i) { return double(x[i]); });
}

// A difference is rounded once, whatever cancels.
template <class T> double distance(const T* before, const T* after, long n) {
  using L = Lanes<T, kLane>;
  const double sum =
      add_squares<T>(n, [&](long i) { return L::load(after + i) - L::load(before + i); });
  if (sound<T>(sum)) return sum;
  return add_squares_one_by_one(n, [&](long i) { return double(after[i]) - double(before[i]); });
}

template <class T>
[[gnu::noinline]] bool look_again(const T* before, const T* w, long n, StepSquares* sums) {
  sums->weight = squares(before, n);
  sums->update = distance(before, w, n);
  Bits<T> seen = 0;
  for (long i = 0; i < n; ++i) seen |= raised(w[i]);
  return finite<T>(seen);
}

// A sweep that looks at each weight while it is there. Where squares do not hold a sum, the weights before are left.
template <class T, class Rule>
bool noted_sweep(const UpdateArgs<T>& a, T* before, StepSquares* sums) {
  using L = Lanes<T, kLane>;
  constexpr long kRun = 32;
  const Sweep<T, Rule> sweep(a);
  double lane[3][kLane] = {};
  for (long i = 0; i < a.n;) {
    const long end = i + kRun * kLane < a.n ? i + kRun * kLane : a.n;
    L sum = L::all(0), slope = L::all(0), moved = L::all(0);
    for (; i < end; i += kLane) {
      T old[kLane], now[kLane];
#pragma GCC ivdep
      for (long j = 0; j < kLane; ++j) {
        old[j] = sweep.w[i + j];
        now[j] = sweep.step(i + j);
      }
      const L from = L::load(old), apart = L::load(now) - from, g = L::load(sweep.g + i);
      from.store(before + i);
      slope = fma_(g, g, slope);
      sum = fma_(from, from, sum);
      moved = fma_(apart, apart, moved);
    }
    put_lanes<true, T>(sum, lane[0]);
    put_lanes<true, T>(slope, lane[1]);
    put_lanes<true, T>(moved, lane[2]);
  }
  *sums = {sum_lanes(lane[0]), sum_lanes(lane[1]), sum_lanes(lane[2])};
  if (!sound<T>(sums->gradient))
    sums->gradient = add_squares_one_by_one(a.n, [&](long i) { return double(a.g[i]); });
  // What is not finite is in the sums, too, and then they are not sound.
  if (sound<T>(sums->weight) && sound<T>(sums->update)) return true;
  return look_again(before, a.w, a.n, sums);
}

// Of a rule that looks ahead, weights are to be found first; rules of two passes step block by block, too, but seldom.
template <class T, class Rule> constexpr auto noted_sweep_of()
    -> decltype(&noted_sweep<T, rules::SGD>) {
  if constexpr (Rule::kLookAhead || rules::kSums<Rule> > 0)
    return nullptr;
  else
    return noted_sweep<T, Rule>;
}
template <class T, class... Rules>
decltype(RecordKernels<T>::update) noted_sweeps(List<Rules...>) {
  static constexpr decltype(&noted_sweep<T, rules::SGD>) all[] = {noted_sweep_of<T, Rules>()...};
  return all;
}

// Rows side by side: sums of one wait for themselves, and units are looked at once for all. As many as registers hold.
template <class T> constexpr int kTogether = Lanes<T, kLane>::parts == 1   ? 4
                                             : Lanes<T, kLane>::parts == 2 ? 2
                                                                           : 1;

// kRows rows: their distances from each one's first element, so that a deviation far smaller than the mean is not lost,
// added and squared, and those beyond limits. kRun vectors are added in T, all of a row in double; what is left of a
// row is filled up with its first element.
template <bool saturates, int kRows, class T> struct SomeRows {
  using L = Lanes<T, kLane>;
  using Ints = typename RegOf<Bits<T>, L::width>::type;
  static constexpr long kRun = 16;
  const T* const x;
  const long ldx, columns;
  const T low, high;
  double sums[kRows][kLane], squares[kRows][kLane];
  L beyond[kRows];

  STEEP_HD SomeRows(const T* first, long ld, long n, T from, T to)
      : x(first), ldx(ld), columns(n), low(from), high(to) {}

  // Columns [c, c + kLane) of row r.
  template <bool whole> STEEP_HD L load(int r, long c) const {
    const T* const row = x + r * ldx;
    if constexpr (whole) return L::load(row + c);
    T lane[kLane];
    for (long j = 0; j < kLane; ++j) lane[j] = c + j < columns ? row[c + j] : row[0];
    return L::load(lane);
  }

  // Columns [c, end), whole vectors or less than one. What an exponent has bits of is not 0.
  template <bool first, bool whole> STEEP_HD void run(long c, long end, T* alive) {
    L pivot[kRows], sum[kRows], square[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      pivot[r] = L::all(x[r * ldx]);
      sum[r] = square[r] = L::all(0);
      if (first) beyond[r] = L::all(0);
    }
    for (; c < end; c += kLane) {
      Ints seen[L::parts] = {};
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const L here = load<whole>(r, c), apart = here - pivot[r];
        sum[r] = sum[r] + apart;
        square[r] = fma_(apart, apart, square[r]);
#pragma GCC unroll 16
        for (int i = 0; i < L::parts; ++i) {
          seen[i] |= __builtin_bit_cast(Ints, here.part[i]);
          if constexpr (saturates)
            beyond[r].part[i] += (here.part[i] <= low) | (here.part[i] >= high) ? L::all(1).part[i]
                                                                                : L::all(0).part[i];
        }
      }
      note(seen, c, alive, end - c < kLane ? end - c : kLane);
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      put_lanes<!first, T>(sum[r], sums[r]);
      put_lanes<!first, T>(square[r], squares[r]);
    }
  }
  STEEP_HD static void note(const Ints (&seen)[L::parts], long c, T* alive, long n) {
    constexpr Bits<T> kExponent = BitsOf<T>::kInfinity;
    if (n < kLane) {
      Bits<T> lane[kLane];
      __builtin_memcpy(lane, seen, sizeof(lane));
      for (long j = 0; j < n; ++j)
        alive[c + j] = __builtin_bit_cast(T, (bits_(alive[c + j]) | lane[j]) & kExponent);
      return;
    }
#pragma GCC unroll 16
    for (int i = 0; i < L::parts; ++i) {
      Ints all;
      T* const at = alive + c + i * L::width;
      __builtin_memcpy(&all, at, sizeof(all));
      all = (all | seen[i]) & (kExponent - Ints{});
      __builtin_memcpy(at, &all, sizeof(all));
    }
  }

  STEEP_HD void look(T* alive) {
    const long whole = columns / kLane * kLane, some = kRun * kLane;
    if (whole == 0) return run<true, false>(0, columns, alive);
    run<true, true>(0, some < whole ? some : whole, alive);
    for (long c = some; c < whole; c += some)
      run<false, true>(c, c + some < whole ? c + some : whole, alive);
    if (whole < columns) run<false, false>(whole, columns, alive);
  }
  STEEP_HD RowSums of(int r) const {
    const T first = x[r * ldx];
    RowSums all{double(first), sum_lanes(sums[r]), sum_lanes(squares[r]), 0};
    if constexpr (saturates) {
      T lane[kLane];
      beyond[r].store(lane);
      const double filled = double((kLane - columns % kLane) % kLane);
      all.saturated = double(sum_lanes(lane)) - (first <= low || first >= high ? filled : 0);
    }
    return all;
  }
};

template <bool saturates, int kRows, class T>
void some_rows(const T* x, long ldx, long columns, T low, T high, RowSums* sums, T* alive) {
  SomeRows<saturates, kRows, T> rows(x, ldx, columns, low, high);
  rows.look(alive);
  for (int r = 0; r < kRows; ++r) sums[r] = rows.of(r);
}

template <bool saturates, class T>
void all_rows(const T* x, long ldx, long rows, long columns, T low, T high, RowSums* sums,
              T* alive) {
  constexpr int n = kTogether<T>;
  long r = 0;
  for (; r + n <= rows; r += n)
    some_rows<saturates, n>(x + r * ldx, ldx, columns, low, high, sums + r, alive);
  for (; n > 1 && r < rows; ++r)
    some_rows<saturates, 1>(x + r * ldx, ldx, columns, low, high, sums + r, alive);
}

template <class T>
void row_sums(const T* x, long ldx, long rows, long columns, double low, double high, RowSums* sums,
              T* alive) {
  low < high ? all_rows<true>(x, ldx, rows, columns, T(low), T(high), sums, alive)
             : all_rows<false>(x, ldx, rows, columns, T(low), T(high), sums, alive);
}

}  // namespace

// Called by ../isa.cpp on processors that have this instruction set.
RecordKernels<float> float_records() {
  return {squares<float>, keep<float>, distance<float>, row_sums<float>,
          noted_sweeps<float>(rules::All{})};
}
RecordKernels<double> double_records() {
  return {squares<double>, keep<double>, distance<double>, row_sums<double>,
          noted_sweeps<double>(rules::All{})};
}

}  // namespace steep::STEEP_ISA
