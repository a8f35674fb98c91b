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

// kParts vectors of channels in registers, of which the last may be a part of one.
template <class T, int kParts> struct Sums {
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
    const auto in = left == V::width ? V::load(last) : V::load_part(last, left);
    part[kParts - 1] = V::fma(f, in, part[kParts - 1]);
  }
  // y (+)= scale * sums.
  STEEP_HD void leave(T* y, T scale, bool accumulate) const {
    const auto f = V::set1(scale);
    for (int p = 0; p < kParts; ++p, y += V::width) {
      const bool whole = p + 1 < kParts || left == V::width;
      auto before = V::zero();
      if (accumulate) before = whole ? V::load(y) : V::load_part(y, left);
      const auto sum = V::fma(f, part[p], before);
      whole ? V::store(y, sum) : V::store_part(y, sum, left);
    }
  }
};

// The sums of what walk(add) adds, add(factor, x), over `columns` channels from x on.
template <class T, int kParts, class Walk>
STEEP_HD Sums<T, kParts> sums_of(long columns, Walk walk) {
  Sums<T, kParts> sums(columns - (kParts - 1) * Vec<T>::width);
  walk([&](T factor, const T* x) { sums.add(factor, x); });
  return sums;
}

// The same, handed to leave(sums), with as many vectors as the channels want: at most 4.
template <class T, class Walk, class Leave>
STEEP_HD void with_sums(long columns, Walk walk, Leave leave) {
  constexpr long kWidth = Vec<T>::width;
  if (columns <= kWidth)
    leave(sums_of<T, 1>(columns, walk));
  else if (columns <= 2 * kWidth)
    leave(sums_of<T, 2>(columns, walk));
  else if (columns <= 3 * kWidth)
    leave(sums_of<T, 3>(columns, walk));
  else
    leave(sums_of<T, 4>(columns, walk));
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

// Row i of A W for outputs [c, c + columns) of one panel.
template <class T, class Leave>
STEEP_HD void weighted(const Work<T>& w, const SparseRows& a, long i, long c, long columns,
                       Leave leave) {
  const long panel = c / kPanel, width = w.weight.width(panel);
  const T* const from = w.parameters[0] + w.weight.offset(panel) + c % kPanel;
  with_sums<T>(
      columns,
      [&](auto add) { over_entries<T>(a, i, [&](T v, long k) { add(v, from + k * width); }); },
      leave);
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
    const T* const x = w.in[0].at(r);
    for (long i = first; i < last; ++i) {
      T* const y = w.out.at(r) + i * channels;
      over_stretches<T>(channels, [&](long c, long columns) {
        const auto walk = [&](auto add) {
          over_entries<T>(op.a, i, [&](T v, long k) { add(v, x + k * channels + c); });
        };
        with_sums<T>(columns, walk,
                     [&](const auto& sums) { sums.leave(y + c, T(1), w.accumulate); });
      });
    }
    if (last == op.a.rows) clear_padding(w.out, r, r + 1);
  });
}
STEEP_CALL(SparseProduct)

template <class T>
void run(const ops::SparseMatMul& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  over_blocks(op, s.rows, lo, hi, [&](long r, long first, long last) {
    for (long i = first; i < last; ++i) {
      const T factor = w.in[0].at(r)[i];
      T* const y = w.out.at(r) + i * op.outputs;
      if (w.narrow)
        for (long n = 0; n < op.outputs; ++n) y[n] = factor * weighted_narrow(w, op.a, i, n);
      else
        over_outputs<T>(op.outputs, [&](long c, long columns) {
          weighted(w, op.a, i, c, columns,
                   [&](const auto& sums) { sums.leave(y + c, factor, false); });
        });
    }
    if (last == op.a.rows) clear_padding(w.out, r, r + 1);
  });
}
STEEP_CALL(SparseMatMul)

namespace {

// Outputs [c, c + columns) of row k of W's gradient, over all samples in order, to y.
template <class T>
STEEP_HD void gradient_of(const ops::SparseMatMulGrad& op, const Work<T>& w, long samples, long k,
                          long c, long columns, T* y) {
  const auto walk = [&](auto add) {
    for (long r = 0; r < samples; ++r) {
      const T *const dz = w.in[0].at(r) + c, *const factors = w.in[1].at(r);
      over_entries<T>(op.a, k, [&](T v, long i) { add(v * factors[i], dz + i * op.outputs); });
    }
  };
  with_sums<T>(columns, walk, [&](const auto& sums) { sums.leave(y, T(1), false); });
}

}  // namespace

// Units are blocks of W's rows. Of W^T, the zeros of its padding come with the last one.
template <class T>
void run(const ops::SparseMatMulGrad& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const Panels& at = w.weight;
  T* const dw = w.out.data;
  const long last = hi * op.kRows < op.a.rows ? hi * op.kRows : op.a.rows;
  for (long k = lo * op.kRows; k < last; ++k) {
    if (w.narrow) {
      T row[kLane];  // at most kNarrow outputs
      gradient_of(op, w, s.rows, k, 0, op.outputs, row);
      for (long n = 0; n < op.outputs; ++n) dw[at.at(n, k)] = row[n];
      continue;
    }
    over_outputs<T>(op.outputs, [&](long c, long columns) {
      gradient_of(op, w, s.rows, k, c, columns, dw + at.at(k, c));
    });
    for (long n = op.outputs; n < at.width(); ++n) dw[at.at(k, n)] = T(0);
  }
  for (long n = 0; w.narrow && last == op.a.rows && n < op.outputs; ++n)
    for (long k = last; k < at.width(); ++k) dw[at.at(n, k)] = T(0);
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
          T row[kPanel];
          weighted(w, op.a, i, c, columns, [&](const auto& sums) { sums.leave(row, T(1), false); });
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
