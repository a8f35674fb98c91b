// Loops of products by a constant sparse matrix. Every element has its own sum, over the entries of its row
// in order, so that neither threads nor vectors change a bit.
#include "ops/sparse.h"

#include "cpu/ops/call.h"
#include "cpu/simd/vec.h"

namespace steep::STEEP_ISA {
namespace {

// Calls take(r, first, last) for rows of results [first, last) of sample r: of whole samples, or of the
// units that threads share.
template <class Take>
STEEP_HD void over_blocks(const ops::Sparse& op, long samples, long lo, long hi, Take take) {
  if (!op.shared) {
    for (long r = lo; r < hi; ++r) take(r, 0L, op.a.rows);
    return;
  }
  const long blocks = op.blocks(), units = samples * blocks;
  for (long unit = lo; unit < hi && unit < units; ++unit) {
    const long first = unit % blocks * op.kRows, end = first + op.kRows;
    take(unit / blocks, first, end < op.a.rows ? end : op.a.rows);
  }
}

// kParts vectors of channels in registers, of which the last may be a part of one unless they are kWhole.
template <class T, int kParts, bool kWhole> struct Sums {
  using V = Vec<T>;
  typename V::Reg part[kParts];
  long left;  // lanes of the last one

  STEEP_HD explicit Sums(long lanes) : left(lanes) {
    for (int p = 0; p < kParts; ++p) part[p] = V::zero();
  }
  STEEP_HD void add(T factor, const T* x) {
    const auto f = V::set1(factor);
    for (int p = 0; p + 1 < kParts; ++p) part[p] = V::fma(f, V::load(x + p * V::width), part[p]);
    const T* const last = x + (kParts - 1) * V::width;
    const auto in = kWhole ? V::load(last) : V::load_part(last, left);
    part[kParts - 1] = V::fma(f, in, part[kParts - 1]);
  }
  // y (+)= scale * sums.
  STEEP_HD void leave(T* y, T scale, bool accumulate) const {
    const auto f = V::set1(scale);
    for (int p = 0; p < kParts; ++p, y += V::width) {
      const bool whole = kWhole || p + 1 < kParts;
      auto before = V::zero();
      if (accumulate) before = whole ? V::load(y) : V::load_part(y, left);
      const auto sum = V::fma(f, part[p], before);
      whole ? V::store(y, sum) : V::store_part(y, sum, left);
    }
  }
};

// Where a factor of a row's sum and the channels it multiplies come from, entry by entry.
template <class T, class Factor> struct Terms {
  const SparseRows& a;
  const T* x;     // of column 0
  long ld;        // from column to column
  Factor factor;  // of a value and its column

  template <class S> STEEP_HD void add(S& sums, long e) const {
    const auto* const value = a.values(static_cast<const T*>(nullptr));
    const long k = a.column[e];
    sums.add(factor(T(value[e]), k), x + k * ld);
  }
};

// leave(i, sums) for rows [first, last): over samples and a row's entries in order, of terms(r) each. A row
// after the other: the processor is in the next ones long before the sums of one are complete.
template <class T, int kParts, bool kWhole, class TermsOf, class Leave>
STEEP_HD void each_row(const SparseRows& a, long first, long last, long columns, long samples,
                       TermsOf terms, Leave leave) {
  for (long i = first; i < last; ++i) {
    Sums<T, kParts, kWhole> sums(columns - (kParts - 1) * Vec<T>::width);
    for (long r = 0; r < samples; ++r) {
      const auto of = terms(r);
      for (long e = a.begin[i]; e < a.begin[i + 1]; ++e) of.add(sums, e);
    }
    leave(i, sums);
  }
}

// The same with as many vectors as the channels want: at most 4.
template <class T, int kParts = 1, class TermsOf, class Leave>
STEEP_HD void over_rows(const SparseRows& a, long first, long last, long columns, long samples,
                        TermsOf terms, Leave leave) {
  constexpr long kWidth = Vec<T>::width;
  if (columns == kParts * kWidth)
    return each_row<T, kParts, true>(a, first, last, columns, samples, terms, leave);
  if (columns < kParts * kWidth)
    return each_row<T, kParts, false>(a, first, last, columns, samples, terms, leave);
  if constexpr (kParts < 4)
    over_rows<T, kParts + 1>(a, first, last, columns, samples, terms, leave);
}

// Terms whose factor is the entry itself.
template <class T> STEEP_HD auto plain_terms(const SparseRows& a, const T* x, long ld) {
  const auto same = [](T value, long) { return value; };
  return Terms<T, decltype(same)>{a, x, ld, same};
}

// Calls take(value, column) for the entries of row i.
template <class T, class Take>
STEEP_HD void over_entries(const SparseRows& a, long i, Take take) {
  const auto* const value = a.values(static_cast<const T*>(nullptr));
  const long end = a.begin[i + 1];
  for (long e = a.begin[i]; e < end; ++e) take(T(value[e]), long(a.column[e]));
}

// Calls take(c, columns) for stretches of channels that fit into registers.
template <class T, class Take> STEEP_HD void over_stretches(long channels, Take take) {
  constexpr long kMost = 4 * Vec<T>::width;
  for (long c = 0; c < channels; c += kMost) take(c, channels - c < kMost ? channels - c : kMost);
}

// Rows [first, last) of A W for outputs [c, c + columns) of one panel.
template <class T, class Leave>
STEEP_HD void weighted(const Work<T>& w, const SparseRows& a, long first, long last, long c,
                       long columns, Leave leave) {
  const long panel = c / kPanel, width = w.weight.width(panel);
  const T* const from = w.parameters[0] + w.weight.offset(panel) + c % kPanel;
  over_rows<T>(
      a, first, last, columns, 1, [&](long) { return plain_terms(a, from, width); }, leave);
}

// Output n of row i of A W, W stored as W^T.
template <class T>
STEEP_HD T weighted_narrow(const Work<T>& w, const SparseRows& a, long i, long n) {
  T sum = T(0);
  over_entries<T>(a, i,
                  [&](T v, long k) { sum = fma_(v, w.parameters[0][w.weight.at(n, k)], sum); });
  return sum;
}

// Calls take(c, columns) for stretches of outputs within a panel.
template <class T, class Take> STEEP_HD void over_outputs(long outputs, Take take) {
  constexpr long kRegisters = 4 * Vec<T>::width, kMost = kRegisters < kPanel ? kRegisters : kPanel;
  for (long c = 0; c < outputs; c += kMost) take(c, outputs - c < kMost ? outputs - c : kMost);
}

}  // namespace

template <class T>
void run(const ops::SparseProduct& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const long channels = op.channels;
  over_blocks(op, s.rows, lo, hi, [&](long r, long first, long last) {
    over_stretches<T>(channels, [&](long c, long columns) {
      const T* const x = w.in[0].at(r) + c;
      T* const y = w.out.at(r) + c;
      over_rows<T>(
          op.a, first, last, columns, 1, [&](long) { return plain_terms(op.a, x, channels); },
          [&](long i, const auto& sums) { sums.leave(y + i * channels, T(1), w.accumulate); });
    });
    if (last == op.a.rows) clear_padding(w.out, r, r + 1);
  });
}
STEEP_CALL(SparseProduct)

template <class T>
void run(const ops::SparseMatMul& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  over_blocks(op, s.rows, lo, hi, [&](long r, long first, long last) {
    const T* const factors = w.in[0].at(r);
    T* const y = w.out.at(r);
    for (long i = first; w.narrow && i < last; ++i)
      for (long n = 0; n < op.outputs; ++n)
        y[i * op.outputs + n] = factors[i] * weighted_narrow(w, op.a, i, n);
    over_outputs<T>(w.narrow ? 0 : op.outputs, [&](long c, long columns) {
      weighted(w, op.a, first, last, c, columns, [&](long i, const auto& sums) {
        sums.leave(y + i * op.outputs + c, factors[i], false);
      });
    });
    if (last == op.a.rows) clear_padding(w.out, r, r + 1);
  });
}
STEEP_CALL(SparseMatMul)

namespace {

// leave(k, sums) of outputs [c, c + columns) of rows [first, last) of W's gradient, over all samples in order.
template <class T, class Leave>
STEEP_HD void gradients_of(const ops::SparseMatMulGrad& op, const Work<T>& w, long samples,
                           long first, long last, long c, long columns, Leave leave) {
  const auto terms = [&](long r) {
    const T* const factors = w.in[1].at(r);
    const auto times = [=](T value, long i) { return value * factors[i]; };
    return Terms<T, decltype(times)>{op.a, w.in[0].at(r) + c, op.outputs, times};
  };
  over_rows<T>(op.a, first, last, columns, samples, terms, leave);
}

}  // namespace

// Units are blocks of W's rows. Of W^T, the zeros of its padding come with the last one.
template <class T>
void run(const ops::SparseMatMulGrad& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const Panels& at = w.weight;
  T* const dw = w.out.data;
  const long first = lo * op.kRows;
  const long last = hi * op.kRows < op.a.rows ? hi * op.kRows : op.a.rows;
  if (w.narrow) {
    gradients_of(op, w, s.rows, first, last, 0, op.outputs, [&](long k, const auto& sums) {
      T row[4 * Vec<T>::width];  // as many as over_rows may write; at most kNarrow outputs
      sums.leave(row, T(1), false);
      for (long n = 0; n < op.outputs; ++n) dw[at.at(n, k)] = row[n];
    });
    for (long n = 0; last == op.a.rows && n < op.outputs; ++n)
      for (long k = last; k < at.width(); ++k) dw[at.at(n, k)] = T(0);
    return;
  }
  over_outputs<T>(op.outputs, [&](long c, long columns) {
    gradients_of(op, w, s.rows, first, last, c, columns,
                 [&](long k, const auto& sums) { sums.leave(dw + at.at(k, c), T(1), false); });
  });
  for (long k = first; k < last; ++k)
    for (long n = op.outputs; n < at.width(); ++n) dw[at.at(k, n)] = T(0);
}
STEEP_CALL(SparseMatMulGrad)

template <class T>
void run(const ops::SparseMatMulFactors& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  over_blocks(op, s.rows, lo, hi, [&](long r, long first, long last) {
    for (long i = first; i < last; ++i) {
      const T* const dz = w.in[0].at(r) + i * op.outputs;
      T sum = T(0);
      if (w.narrow)
        for (long n = 0; n < op.outputs; ++n)
          sum = fma_(dz[n], weighted_narrow(w, op.a, i, n), sum);
      else
        over_outputs<T>(op.outputs, [&](long c, long columns) {
          T row[4 * Vec<T>::width] = {};  // of which `columns` are left below
          weighted(w, op.a, i, i + 1, c, columns,
                   [&](long, const auto& sums) { sums.leave(row, T(1), false); });
          for (long n = 0; n < columns; ++n) sum = fma_(dz[c + n], row[n], sum);
        });
      T& dx = w.out.at(r)[i];
      dx = w.accumulate ? dx + sum : sum;
    }
    if (last == op.a.rows) clear_padding(w.out, r, r + 1);
  });
}
STEEP_CALL(SparseMatMulFactors)

}  // namespace steep::STEEP_ISA
