// The sweep of every update rule over flat parameters, and what prepares it. The formulas of the
// rules live in rules/.
#include "cpu/kernels/fill.h"
#include "cpu/kernels/sweep.h"
#include "rules/list.h"

namespace steep::STEEP_ISA {
namespace {

template <class T, class Rule>
bool sweep(const UpdateArgs<T>& a) {
  const Sweep<T, Rule> sweep(a);
  const long n = a.n / kLane * kLane;
  Bits<T> seen = 0;
#pragma GCC ivdep
  for (long i = 0; i < n; ++i) seen |= raised(sweep.step(i));
  return finite<T>(seen);
}

// The first pass of a rule that has two: its slots, where it moves them, and terms of the sums over the
// whole parameter. Each lane adds up its own, in double.
template <class T, class Rule>
void measure(const UpdateArgs<T>& a, double* terms) {
  constexpr size_t count = moves_slots_first<T, Rule>() ? Rule::kSlots.size() : 0;
  constexpr size_t sums = rules::kSums<Rule>;
  typename Rule::template Knobs<T> knobs;
  std::memcpy(&knobs, a.knobs, sizeof(knobs));
  double lane[sums][kLane] = {};
  for (long i = 0; i < a.n; i += kLane) {
#pragma GCC ivdep
    for (long j = 0; j < kLane; ++j) {
      T s[kMaxSlots];
      double term[sums];
      for (size_t k = 0; k < count; ++k) s[k] = a.slots[k][i + j];
      T g = a.g[i + j] * a.scale;
      if constexpr (count == 0) {
        Rule::template measure<T>(a.w[i + j], g, knobs, a.decay, term);
      } else {
        Rule::template measure<T>(a.w[i + j], g, s, knobs, a.decay, term);
      }
      if constexpr (rules::kOrthogonal<Rule>) a.u[i + j] = g;
      for (size_t k = 0; k < count; ++k) a.slots[k][i + j] = s[k];
      for (size_t k = 0; k < sums; ++k) lane[k][j] += term[k];
    }
  }
  for (size_t k = 0; k < sums; ++k) terms[k] = sum_lanes(lane[k]);
}

template <class T>
void block_squares(const UpdateArgs<T>& a, long width, double* by_row, double* by_column,
                   double* terms) {
  double lane[kLane] = {};
  std::memset(by_column, 0, static_cast<size_t>(width) * sizeof(double));
  for (long r = 0; r < a.n / width; ++r) {
    double row[kLane] = {};
    for (long c = 0; c < width; c += kLane) {
#pragma GCC ivdep
      for (long j = 0; j < kLane; ++j) {
        const long i = r * width + c + j;
        const double g = double(a.g[i] * a.scale), w = double(a.w[i]);
        row[j] += g * g;
        by_column[c + j] += g * g;
        lane[j] += w * w;
      }
    }
    by_row[r] = sum_lanes(row);
  }
  terms[0] = sum_lanes(lane);
}

template <class T>
void block_direction(const UpdateArgs<T>& a, long width, const T* rows, const T* columns,
                     double* terms) {
  using Rule = rules::Adafactor;
  Rule::Knobs<T> knobs;
  std::memcpy(&knobs, a.knobs, sizeof(knobs));
  double lane[kLane] = {};
  for (long r = 0; r < a.n / width; ++r) {
    for (long c = 0; c < width; c += kLane) {
#pragma GCC ivdep
      for (long j = 0; j < kLane; ++j) {
        const long i = r * width + c + j;
        const T u = Rule::direction(a.g[i] * a.scale, rows[r] * columns[c + j], knobs);
        a.u[i] = u;
        lane[j] += double(u) * double(u);
      }
    }
  }
  terms[1] = sum_lanes(lane);
}

template <class T, class Rule>
double factor_of(const double* terms, const Extent& of, const T* knobs, T decay) {
  typename Rule::template Knobs<T> own;
  std::memcpy(&own, knobs, sizeof(own));
  return Rule::template factor<T>(terms, of, own, decay);
}

template <class T>
void look_ahead(T* w, const T* v, long n, T look) {
#pragma GCC ivdep
  for (long i = 0; i < n; ++i) w[i] = rules::look_ahead_point(w[i], v[i], look);
}

template <class T>
void look_back(const T* point, const T* v, T* w, long n, T look) {
#pragma GCC ivdep
  for (long i = 0; i < n; ++i) w[i] = rules::weight_of_point(point[i], v[i], look);
}

template <class T, bool kAhead>
void follow(const AverageArgs<T>& a) {
  const T rate = a.rate, look = a.look;
  const bool copies = rate == T(1), pull = a.pull;
#pragma GCC ivdep
  for (long i = 0; i < a.n; ++i) {
    T w = a.w[i];
    if constexpr (kAhead) w = rules::look_back_weight(w, a.v[i], look);
    const T mean = fma_(rate, w - a.average[i], a.average[i]);
    const T average = copies ? w : mean;
    a.average[i] = average;
    if constexpr (kAhead) {
      a.w[i] = pull ? rules::look_ahead_point(average, a.v[i], look) : a.w[i];
    } else {
      a.w[i] = pull ? average : w;
    }
  }
}

template <class T>
void average(const AverageArgs<T>& a) {
  a.v != nullptr ? follow<T, true>(a) : follow<T, false>(a);
}

// Of one element. Weights are read where there is a penalty.
template <bool penalties, class T>
STEEP_HD T finished(T x, const T* w, T l1, T l2, T bound) {
  if constexpr (penalties) x = fma_(l1, sign_(*w), fma_(l2, *w, x));
  x = x > bound ? bound : x;  // written so that NaN passes
  return x < -bound ? -bound : x;
}

// Vectors take turns: a sum waits for itself otherwise.
template <bool penalties, class T>
double finish(T* g, const T* w, long n, T l1, T l2, T bound) {
  constexpr long kTurns = kSquareTurns;
  double lane[kTurns * kLane] = {};
  const auto add = [&](long i, double* to) {
#pragma GCC ivdep
    for (long j = 0; j < kLane; ++j) {
      const T x = g[i + j] = finished<penalties>(g[i + j], w + i + j, l1, l2, bound);
      to[j] = fma_(plain(x), plain(x), to[j]);
    }
  };
  long i = 0;
  for (; i + kTurns * kLane <= n; i += kTurns * kLane)
#pragma GCC unroll 4
    for (long turn = 0; turn < kTurns; ++turn) add(i + turn * kLane, lane + turn * kLane);
  for (long turn = 0; i < n; i += kLane, ++turn) add(i, lane + turn * kLane);
  return fold<kTurns * kLane>(lane);
}

template <class T>
double finish_gradient(T* g, const T* w, long n, T l1, T l2, T clip_value) {
  return l1 == T(0) && l2 == T(0) ? finish<false>(g, w, n, l1, l2, clip_value)
                                  : finish<true>(g, w, n, l1, l2, clip_value);
}

template <class T>
void penalise(T* g, const T* w, long n, T l1, T l2, T clip_value) {
  if (l1 == T(0) && l2 == T(0))
    for (long i = 0; i < n; ++i) g[i] = finished<false>(g[i], w + i, l1, l2, clip_value);
  else
#pragma GCC ivdep
    for (long i = 0; i < n; ++i) g[i] = finished<true>(g[i], w + i, l1, l2, clip_value);
}

template <class T>
bool all_finite(const T* x, long n) {
  Bits<T> seen = 0;
  for (long i = 0; i < n; ++i) seen |= raised(x[i]);
  return finite<T>(seen);
}

template <class T>
bool all_within(const T* x, long n, T limit) {
  Bits<T> beyond = 0;
  for (long i = 0; i < n; ++i) beyond |= abs_(x[i]) <= limit ? Bits<T>(0) : Bits<T>(1);
  return beyond == 0;
}

template <class T, class... Rules>
decltype(Kernels<T>::update) sweeps(List<Rules...>) {
  static constexpr bool (*all[])(const UpdateArgs<T>&) = {sweep<T, Rules>...};
  return all;
}

template <class T, class Rule>
constexpr decltype(&measure<T, rules::SGD>) measure_or_null() {
  if constexpr (rules::kSums<Rule> > 0 && !rules::kFactored<Rule>) return measure<T, Rule>;
  return nullptr;
}
template <class T, class Rule>
constexpr decltype(&factor_of<T, rules::SGD>) factor_or_null() {
  if constexpr (rules::kSums<Rule> > 0) return factor_of<T, Rule>;
  return nullptr;
}
template <class T, class... Rules>
void fill_passes(Kernels<T>& table, List<Rules...>) {
  static constexpr void (*measures[])(const UpdateArgs<T>&,
                                      double*) = {measure_or_null<T, Rules>()...};
  static constexpr double (*factors[])(const double*, const Extent&, const T*,
                                       T) = {factor_or_null<T, Rules>()...};
  table.measure = measures;
  table.factor = factors;
}

}  // namespace

template <class T>
void fill_updates(Kernels<T>& table) {
  table.finish_gradient = finish_gradient<T>;
  table.penalise = penalise<T>;
  if constexpr (!kDual<T>) {  // nothing is updated in dual numbers
    table.update = sweeps<T>(rules::All{});
    fill_passes(table, rules::All{});
    table.block_squares = block_squares<T>;
    table.block_direction = block_direction<T>;
    table.average = average<T>;
    table.look_ahead = look_ahead<T>;
    table.look_back = look_back<T>;
    table.all_finite = all_finite<T>;
    table.all_within = all_within<T>;
  }
}

STEEP_FILL_DUAL(fill_updates)

}  // namespace steep::STEEP_ISA
