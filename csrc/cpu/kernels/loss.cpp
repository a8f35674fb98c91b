// The loops over losses: values, right predictions and gradients of whole rows. The formulas live
// in losses/.
#include "cpu/kernels/few_classes.h"
#include "cpu/kernels/fill.h"
#include "cpu/kernels/row.h"
#include "losses/list.h"

namespace steep::STEEP_ISA {
namespace {

// Targets of columns [c, c + kLane) of row r. Rows of targets need not be padded, so what lies
// beyond the last column is not read. A label stands for the value of a single column.
template <class T>
STEEP_HD void target_block(const LossArgs<T>& a, long r, long c, T* t) {
  for (long j = 0; j < kLane; ++j) t[j] = T(0);
  if (!a.target) {
    t[0] = T(a.labels[r]);
  } else {
    const T* const row = a.target + r * a.ldt + c;
    if (c + kLane <= a.columns)
      for (long j = 0; j < kLane; ++j) t[j] = row[j];
    else
      for (long j = 0; j < a.columns - c; ++j) t[j] = row[j];
  }
}

// kLane samples of one column side by side, so that a row does not pay for sixteen. The numbers are those of
// column_rows.
template <class T>
struct Single {
  alignas(64) T z[kLane], t[kLane], weight[kLane], value[kLane], grad[kLane], hit[kLane] = {};

  // Past the last sample it is repeated.
  STEEP_HD void gather(const LossArgs<T>& a, long first, long n) {
    for (long j = 0; j < kLane; ++j) {
      const long r = first + (j < n ? j : n - 1);
      z[j] = a.z[a.turned ? r : r * a.ldz];
      t[j] = a.target ? a.target[r * a.ldt] : T(a.labels[r]);
      weight[j] = a.weights ? a.weights[r] : T(1);
    }
  }

  STEEP_HD void store(const LossArgs<T>& a, long first, long n) const {
    for (long j = 0; j < n; ++j) {
      a.values[first + j] = plain(weight[j]) * plain(value[j]);
      if (a.correct) a.correct[first + j] = plain(hit[j]);
      if (!a.dz) continue;
      T* const dz = a.dz + (first + j) * (a.turned ? 1 : a.lddz);
      for (long c = 0; c < kLane && !a.dense && !a.turned; ++c) dz[c] = T(0);
      dz[0] = grad[j];
    }
  }

  // The same of kLane samples side by side, in whole vectors.
  STEEP_HD void gather_turned(const LossArgs<T>& a, long first) {
    for (long j = 0; j < kLane; ++j) z[j] = a.z[first + j];
    if (a.target)
      for (long j = 0; j < kLane; ++j) t[j] = a.target[(first + j) * a.ldt];
    else
      for (long j = 0; j < kLane; ++j) t[j] = T(a.labels[first + j]);
    for (long j = 0; j < kLane; ++j) weight[j] = a.weights ? a.weights[first + j] : T(1);
  }

  STEEP_HD void store_turned(const LossArgs<T>& a, long first) const {
    for (long j = 0; j < kLane; ++j) a.values[first + j] = plain(weight[j]) * plain(value[j]);
    if (a.correct)
      for (long j = 0; j < kLane; ++j) a.correct[first + j] = plain(hit[j]);
    if (a.dz)
      for (long j = 0; j < kLane; ++j) a.dz[first + j] = grad[j];
  }
};

template <class T, class Loss>
void single_column(const LossArgs<T>& a) {
  for (long first = 0; first < a.rows; first += kLane) {
    const long left = a.rows - first, n = left < kLane ? left : kLane;
    const bool whole = a.turned && n == kLane;
    Single<T> s;
    whole ? s.gather_turned(a, first) : s.gather(a, first, n);
#pragma GCC ivdep
    for (long j = 0; j < kLane; ++j) {
      s.value[j] = T(0) + Loss::value(s.z[j], s.t[j], a.option);
      s.grad[j] = a.factor * s.weight[j] * Loss::grad(s.z[j], s.t[j], a.option);
      if constexpr (Loss::kClassification)  // a NaN is never right
        s.hit[j] = s.z[j] == s.z[j] && (s.z[j] > T(0)) == (s.t[j] > T(0.5)) ? T(1) : T(0);
    }
    whole ? s.store_turned(a, first) : s.store(a, first, n);
  }
}

template <class T, class Loss>
void column_rows(const LossArgs<T>& a) {
  if (a.columns == 1) return single_column<T, Loss>(a);
  for (long r = 0; r < a.rows; ++r) {
    const T* const z = a.z + r * a.ldz;
    T* const dz = a.dz ? a.dz + r * a.lddz : nullptr;
    const T weight = a.weights ? a.weights[r] : T(1);
    const T scale = a.factor * weight / T(a.columns);
    T sum[kLane] = {}, hits[kLane] = {};
    for (long c = 0; c < a.columns; c += kLane) {
      T t[kLane];
      target_block(a, r, c, t);
      for (long j = 0; j < kLane; ++j) {
        const T value = Loss::value(z[c + j], t[j], a.option);
        sum[j] += c + j < a.columns ? value : T(0);
      }
      // In a loop of its own: compilers make vectors of neither in one.
      for (long j = 0; Loss::kClassification && j < kLane; ++j) {
        const T x = z[c + j];  // a NaN is never right
        const T hit = x == x && (x > T(0)) == (t[j] > T(0.5)) ? T(1) : T(0);
        hits[j] += c + j < a.columns ? hit : T(0);
      }
      if (dz)
#pragma GCC ivdep
        for (long j = 0; j < kLane; ++j) {
          const T grad = scale * Loss::grad(z[c + j], t[j], a.option);
          dz[c + j] = c + j < a.columns ? grad : T(0);
        }
    }
    a.values[r] = plain(weight) * plain(sum_lanes(sum)) / double(a.columns);
    if (a.correct) a.correct[r] = plain(sum_lanes(hits)) / double(a.columns);
  }
}

template <class T>
struct RowSums {
  T others, d, t, td, others_t;  // others: but for the largest z
};

// The sums of one row of cross entropy, whose largest z is z[best]; e^d goes to `e` where it is not
// null.
template <class T, bool kTarget>
STEEP_HD RowSums<T> row_sums(const LossArgs<T>& a, long r, T top, long best, T* e) {
  const T* const z = a.z + r * a.ldz;
  T others[kLane] = {}, ds[kLane] = {}, ts[kLane] = {}, tds[kLane] = {}, other_ts[kLane] = {};
  for (long c = 0; c < a.columns; c += kLane) {
    T t[kLane];
    if (kTarget) target_block(a, r, c, t);
    T block[kLane];
    for (long j = 0; j < kLane; ++j) {
      const bool in = c + j < a.columns;
      const T d = in ? z[c + j] - top : T(0);
      block[j] = in ? exp_down(d) : T(0);
      others[j] += c + j == best ? T(0) : block[j];
      ds[j] += d;
      if (kTarget) {
        ts[j] += t[j];
        other_ts[j] += c + j == best ? T(0) : t[j];
        tds[j] = fma_(t[j], d, tds[j]);
      }
    }
    if (e)
      for (long j = 0; j < kLane; ++j) e[c + j] = block[j];
  }
  RowSums<T> s{sum_lanes(others), sum_lanes(ds), T(1), T(0), T(0)};
  if (kTarget) s.t = sum_lanes(ts), s.td = sum_lanes(tds), s.others_t = sum_lanes(other_ts);
  return s;
}

template <class T, bool kTarget>
void cross_entropy_rows(const LossArgs<T>& a) {
  using Loss = losses::CrossEntropy;
  const T keep = T(1) - a.option, spread = a.option / T(a.columns);
  for (long r = 0; r < a.rows; ++r) {
    const T* const z = a.z + r * a.ldz;
    T* const dz = a.dz ? a.dz + r * a.lddz : nullptr;
    const T weight = a.weights ? a.weights[r] : T(1);
    const T factor = a.factor * weight;
    const long label = kTarget ? 0 : a.labels[r];
    const T top = row_max(z, a.columns);
    const long best = first_equal(z, a.columns, top);
    if (a.correct) {
      long truth = label;
      if (kTarget) {
        const T* const row = a.target + r * a.ldt;
        truth = 0;
        for (long c = 1; c < a.columns; ++c) truth = row[c] > row[truth] ? c : truth;
      }
      a.correct[r] = best == truth && !any_nan(z, a.columns) ? 1.0 : 0.0;
    }
    const T label_d = kTarget ? T(0) : z[label] - top;  // before dz, which may be z itself
    RowSums<T> s = row_sums<T, kTarget>(a, r, top, best, dz);
    if (!kTarget) s.td = label_d, s.others_t = best == label ? T(0) : T(1);
    a.values[r] = plain(weight) * plain(Loss::value(s.others, s.d, s.t, s.td, a.option, spread));
    if (!dz) continue;
    const T scale = factor * fma_(keep, s.t, a.option) / (T(1) + s.others);
    for (long c = 0; c < a.columns; c += kLane) {
      T t[kLane] = {};
      if (kTarget) target_block(a, r, c, t);
      for (long j = 0; j < kLane; ++j) {
        const T grad = Loss::grad(dz[c + j], t[j], scale, factor * keep, factor * spread);
        dz[c + j] = c + j < a.columns ? grad : T(0);
      }
    }
    if (!kTarget) dz[label] -= factor * keep;
    if (best == a.columns) continue;  // all NaN
    dz[best] = Loss::grad_of_largest(s.others, s.others_t, scale, factor * keep, factor * spread,
                                     T(a.columns));
  }
}

template <class T, class Loss>
void rows(const LossArgs<T>& a) {
  if constexpr (Loss::kPerColumn)
    column_rows<T, Loss>(a);
  else if (a.labels && a.columns <= kLane)
    few_classes(a);
  else if (a.target)
    cross_entropy_rows<T, true>(a);
  else
    cross_entropy_rows<T, false>(a);
}

template <class T, class... Losses>
decltype(Kernels<T>::loss) all_rows(List<Losses...>) {
  static constexpr void (*all[])(const LossArgs<T>&) = {rows<T, Losses>...};
  return all;
}

}  // namespace

template <class T>
void fill_losses(Kernels<T>& table) {
  table.loss = all_rows<T>(losses::All{});
}

STEEP_FILL_DUAL(fill_losses)

}  // namespace steep::STEEP_ISA
