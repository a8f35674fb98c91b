// Recurrent layers backward, from the last step of each sample to its first: gates in the records become their
// gradients, and what they pass on by U goes to the step before.
#include "cpu/ops/call.h"
#include "cpu/ops/steps.h"
#include "ops/recurrent.h"

namespace steep::STEEP_ISA {
namespace {

// Of one row: what is known of n units, and what becomes of it. dz are the gates' gradients for the product by U.
template <class T> struct Units {
  T *record, *dh, *dc, *dz, *sums, *second_sums;
  long n;
};

template <class T> void lstm(const Units<T>& u) {
  const long n = u.n;
  const T* const before = u.record + n;
  T *const i = u.record + 2 * n, *const f = i + n, *const g = f + n, *const o = g + n;
  T *const dh = u.dh, *const dc = u.dc, *const dz = u.dz, *const sums = u.sums;
#pragma GCC ivdep
  for (long j = 0; j < n; ++j) {
    const T one = T(1), in = i[j], forget = f[j], cell = g[j], out = o[j];
    const T c = tanh_(fma_(forget, before[j], in * cell));
    const T down = fma_(dh[j] * out, (one - c) * (one + c), dc[j]);
    const T di = down * cell * (in * (one - in));
    const T df = down * before[j] * (forget * (one - forget));
    const T dg = down * in * ((one - cell) * (one + cell));
    const T d_out = dh[j] * c * (out * (one - out));
    dc[j] = down * forget;
    i[j] = dz[j] = di;
    f[j] = dz[n + j] = df;
    g[j] = dz[2 * n + j] = dg;
    o[j] = dz[3 * n + j] = d_out;
    sums[j] += di;
    sums[n + j] += df;
    sums[2 * n + j] += dg;
    sums[3 * n + j] += d_out;
  }
}

// dh becomes what goes to the step before past U; h is what it was before the step.
template <class T> void gru(const Units<T>& u, const T* h) {
  const long n = u.n;
  T *const r = u.record + n, *const z = r + n, *const x = z + n, *const second = x + n;
  T *const dh = u.dh, *const dz = u.dz, *const sums = u.sums, *const others = u.second_sums;
#pragma GCC ivdep
  for (long j = 0; j < n; ++j) {
    const T one = T(1), reset = r[j], keep = z[j], cell = x[j], of_h = second[2 * n + j];
    const T dn = dh[j] * (one - keep) * ((one - cell) * (one + cell));
    const T dk = dh[j] * (h[j] - cell) * (keep * (one - keep));
    const T dr = dn * of_h * (reset * (one - reset)), dm = dn * reset;
    dh[j] *= keep;
    r[j] = second[j] = dz[j] = dr;
    z[j] = second[n + j] = dz[n + j] = dk;
    x[j] = dn;
    second[2 * n + j] = dz[2 * n + j] = dm;
    sums[j] += dr;
    sums[n + j] += dk;
    sums[2 * n + j] += dn;
    others[j] += dr;
    others[n + j] += dk;
    others[2 * n + j] += dm;
  }
}

// First n and z, whose products by U say what r gets.
template <class T> void gru_before(const Units<T>& u, const T* h) {
  const long n = u.n;
  T *const z = u.record + 3 * n, *const x = z + n, *const third = x + 3 * n;
  T *const dh = u.dh, *const dz = u.dz, *const sums = u.sums;
#pragma GCC ivdep
  for (long j = 0; j < n; ++j) {
    const T one = T(1), keep = z[j], cell = x[j];
    const T dn = dh[j] * (one - keep) * ((one - cell) * (one + cell));
    const T dk = dh[j] * (h[j] - cell) * (keep * (one - keep));
    dh[j] *= keep;
    x[j] = dz[2 * n + j] = third[2 * n + j] = dn;
    z[j] = dz[n + j] = dk;
    sums[n + j] += dk;
    sums[2 * n + j] += dn;
  }
}
// `of_rh` is the gradient of r h, and becomes that of h by it.
template <class T> void reset(const Units<T>& u, T* of_rh) {
  const long n = u.n;
  const T* const h = u.record;
  T *const r = u.record + 2 * n, *const z = r + n, *const second = z + 2 * n;
#pragma GCC ivdep
  for (long j = 0; j < n; ++j) {
    const T dr = of_rh[j] * h[j] * (r[j] * (T(1) - r[j]));
    of_rh[j] *= r[j];
    r[j] = second[j] = u.dz[j] = dr;
    second[n + j] = z[j];
    second[2 * n + j] = second[3 * n + j] = T(0);
    u.sums[j] += dr;
  }
}

template <class T> void plain_cell(Cell cell, const Units<T>& u) {
  T* const y = u.record + u.n;
#pragma GCC ivdep
  for (long j = 0; j < u.n; ++j) {
    const T slope = cell == Cell::Tanh ? (T(1) - y[j]) * (T(1) + y[j]) : y[j] > T(0) ? T(1) : T(0);
    y[j] = u.dz[j] = u.dh[j] * slope;
    u.sums[j] += y[j];
  }
}

template <class T> STEEP_HD void add(T* to, const T* from, long n) {
  for (long j = 0; j < n; ++j) to[j] += from[j];
}

template <class T> struct WalkBack {
  const Recurrence& op;
  const Work<T>& w;
  const View<T>*const start, &tape, &dy;
  const Together rows;
  const long wide, ld;
  T *dh, *dc, *mask, *of_u, *dz;

  WalkBack(const Recurrence& of, const Work<T>& work, const Step<T>& s, long lo, long hi)
      : op(of), w(work), start(of.lengths || of.states ? &work.in[3] : nullptr), tape(work.out),
        dy(work.in[1]), rows(of, start, lo, hi), wide(padded(of.units)), ld(spread(of.columns())) {
    const long most = op.rows();
    dh = s.scratch;
    dc = dh + most * wide;
    mask = dc + most * wide;
    of_u = mask + most * wide;
    dz = of_u + most * wide;
    if (op.dropout > 0) draw_mask(op, s, rows, mask, wide);
  }

  // Gradients of the last states, and of steps that hold them; sums begin at 0.
  void begin(long i) const {
    T* const row = tape.at(rows.sample[i]);
    T *const last = dh + i * wide, *const cell = dc + i * wide;
    for (T* const to : {last, cell}) __builtin_memset(static_cast<void*>(to), 0, wide * sizeof(T));
    __builtin_memset(static_cast<void*>(row + op.at_start()), 0,
                     (op.tape() - op.at_start()) * sizeof(T));
    const T* from = dy.at(rows.sample[i]);
    if (op.sequences) {
      for (long t = rows.steps[i]; op.hold && t < op.steps; ++t)
        add(last, from + t * op.units, op.units);
      from += op.steps * op.units;
    } else {
      add(last, from, op.units);
      from += op.units;
    }
    if (op.returned) {
      add(last, from, op.units);
      if (op.memory() > 1) add(cell, from + op.units, op.units);
    }
  }

  Units<T> units(long i, long k) const {
    T* const row = tape.at(rows.sample[i]);
    return {row + rows.at(op, i, k) * op.record(),
            dh + i * wide,
            dc + i * wide,
            dz + i * ld,
            row + op.at_sums(),
            row + op.at_second_sums(),
            op.units};
  }

  void cell(long i, long k) const {
    const Units<T> u = units(i, k);
    if (op.sequences) add(u.dh, dy.at(rows.sample[i]) + rows.at(op, i, k) * op.units, op.units);
    const T* const h = op.keeps_plain() ? u.record + op.at_plain() * op.units : u.record;
    if (op.cell == Cell::LSTM)
      lstm(u);
    else if (op.cell == Cell::GRU)
      gru(u, h);
    else if (op.cell == Cell::GRUBefore)
      gru_before(u, h);
    else
      plain_cell(op.cell, u);
  }

  // to (+)= the gradients of gates [first, first + count) times their rows of U^T.
  void product(T* to, long first, long count, bool accumulate, long active) const {
    const Panels of{op.columns(), op.units};
    for (long p = 0; p < of.count(); ++p) {
      const long columns = of.width(p);
      gemm_panel<T>({.a = dz + first * op.units,
                     .lda = ld,
                     .b = w.in[2].data + of.offset(p) + first * op.units * columns,
                     .ldb = columns,
                     .c = to + p * kPanel,
                     .ldc = wide,
                     .rows = active,
                     .columns = columns,
                     .depth = count * op.units,
                     .accumulate = accumulate});
    }
  }

  void step(long k) const {
    const long active = rows.active(k);
    for (long i = 0; i < active; ++i) cell(i, k);
    const bool before = op.cell == Cell::GRUBefore, past = op.gated();
    T* const to = before || op.dropout > 0 ? of_u : dh;
    if (before) {
      product(of_u, 2, 1, false, active);
      for (long i = 0; i < active; ++i) reset(units(i, k), of_u + i * wide);
    }
    product(to, 0, before ? 2 : op.gates(), before || (past && to == dh), active);
    if (to == dh) return;
    for (long j = 0; j < active * wide; ++j) {
      const T of = op.dropout > 0 ? of_u[j] * mask[j] : of_u[j];
      dh[j] = past ? dh[j] + of : of;
    }
  }

  void run() const {
    for (long i = 0; i < rows.count; ++i) begin(i);
    for (long k = rows.most() - 1; k >= 0; --k) step(k);
    for (long i = 0; op.states && i < rows.count; ++i) {
      T* const to = tape.at(rows.sample[i]) + op.at_start() + op.lengths;
      for (long j = 0; j < op.units; ++j) {
        to[j] = dh[i * wide + j];
        if (op.memory() > 1) to[op.units + j] = dc[i * wide + j];
      }
    }
  }
};

}  // namespace

template <class T>
void run(const ops::RecurrentGrad& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  for (long r = lo; r < hi; r += op.rows()) {
    WalkBack<T>(op, w, s, r, hi - r < op.rows() ? hi : r + op.rows()).run();
  }
}
STEEP_CALL(RecurrentGrad)

}  // namespace steep::STEEP_ISA
