// Recurrent layers forward: for 32 units at a time the products of all their gates, then the gates while these
// are near. Weights come packed, [x h] is one row, and threads have samples of their own: nobody waits.
#include "ops/recurrent.h"

#include "cpu/ops/call.h"
#include "cpu/ops/steps.h"

namespace steep::STEEP_ISA {
namespace {

// Of one row, n units: z holds products of the gates one after the other, kGates apart, and then the gates.
constexpr long kApart = Recurrence::kRows * kPanel;

template <class T> void lstm(T* z, T* c, T* h, long n) {
  T *const i = z, *const f = z + kApart, *const g = z + 2 * kApart, *const o = z + 3 * kApart;
#pragma GCC ivdep
  for (long j = 0; j < n; ++j) {
    i[j] = logistic_(i[j]);
    f[j] = logistic_(f[j]);
    g[j] = tanh_(g[j]);
    o[j] = logistic_(o[j]);
    c[j] = fma_(f[j], c[j], i[j] * g[j]);
    h[j] = o[j] * tanh_(c[j]);
  }
}

template <class T> void gru(T* z, T* h, long n) {
  T *const r = z, *const u = z + kApart, *const x = z + 2 * kApart;
  const T* const of_h = z + 3 * kApart;
#pragma GCC ivdep
  for (long j = 0; j < n; ++j) {
    r[j] = logistic_(r[j]);
    u[j] = logistic_(u[j]);
    x[j] = tanh_(fma_(r[j], of_h[j], x[j]));
    h[j] = fma_(u[j], h[j] - x[j], x[j]);
  }
}

template <class T> void reset(T* z, const T* h, T* rh, long n) {
  T *const r = z, *const u = z + kApart;
#pragma GCC ivdep
  for (long j = 0; j < n; ++j) {
    r[j] = logistic_(r[j]);
    u[j] = logistic_(u[j]);
    rh[j] = r[j] * h[j];
  }
}

template <class T> void gru_before(T* x, const T* u, T* h, long n) {
#pragma GCC ivdep
  for (long j = 0; j < n; ++j) {
    x[j] = tanh_(x[j]);
    h[j] = fma_(u[j], h[j] - x[j], x[j]);
  }
}

template <class T> void plain_cell(Cell cell, T* z, T* h, long n) {
  if (cell == Cell::Tanh) {
#pragma GCC ivdep
    for (long j = 0; j < n; ++j) h[j] = z[j] = tanh_(z[j]);
  } else {
    for (long j = 0; j < n; ++j) h[j] = z[j] = relu_(z[j]);
  }
}

template <class T> STEEP_HD void copy(T* to, const T* from, long n) {
  for (long j = 0; j < n; ++j) to[j] = from[j];
}

// Some samples on their way through all steps.
template <class T> struct Walk {
  const Recurrence& op;
  const Work<T>& w;
  const View<T>*const start, &tape;
  const T* const pack;
  const Together rows;
  const long wide, ld;   // of a row of h, and of [x h]
  T *now, *next;         // [x h] of this step, and of the next one
  T *h, *c, *mask, *rh;  // h as it is, c or the gate z; scratch
  T* gates;

  Walk(const Recurrence& of, const Work<T>& work, const Step<T>& s, long lo, long hi)
      : op(of), w(work), start(of.lengths || of.states ? &work.in[2] : nullptr), tape(work.before),
        pack(work.in[1].data), rows(of, start, lo, hi), wide(padded(of.units)),
        ld(spread(of.inputs + wide)) {
    const long most = op.rows();
    now = s.scratch;
    next = now + most * ld;
    h = next + most * ld;
    c = h + most * wide;
    mask = c + most * wide;
    rh = mask + most * wide;
    gates = rh + most * spread(wide);
    if (op.dropout > 0) draw_mask(op, s, rows, mask, wide);
  }

  T* record(long i, long k) const {
    return tape.at(rows.sample[i]) + rows.at(op, i, k) * op.record();
  }
  T* hidden(T* row, long i) const { return row + i * ld + op.inputs; }
  void put_x(T* to, long i, long k) const {
    copy(to + i * ld, w.in[0].at(rows.sample[i]) + rows.at(op, i, k) * op.inputs, op.inputs);
  }
  // What U takes of h.
  void put_h(T* to, long i, long first, long n) const {
    T* const at = hidden(to, i) + first;
    const T *const from = h + i * wide + first, *const keep = mask + i * wide + first;
    if (op.dropout > 0)
      for (long j = 0; j < n; ++j) at[j] = from[j] * keep[j];
    else
      copy(at, from, n);
  }

  void begin() {
    for (long i = 0; i < rows.count; ++i) {
      T *const first = h + i * wide, *const cell = c + i * wide;
      __builtin_memset(static_cast<void*>(first), 0, wide * sizeof(T));
      __builtin_memset(static_cast<void*>(cell), 0, wide * sizeof(T));
      if (op.states) {
        const T* const from = start->at(rows.sample[i]) + op.lengths;
        copy(first, from, op.units);
        if (op.memory() > 1) copy(cell, from + op.units, op.units);
      }
      put_h(now, i, 0, wide);
      if (rows.steps[i] > 0) put_x(now, i, 0);
    }
  }

  // C = bias + A B of one gate of 32 units, of rows [lo, lo + n): A the columns of [x h] from `first` on, `depth`.
  struct Part { long gate, to, first, depth, bias; };
  void product(const Part& part, const T* a, long lda, long panel, long columns, long lo, long n) {
    const long all = op.inputs + op.units, block = panel * kPanel;
    const T* const b = pack + op.gates() * all * block + (part.gate * all + part.first) * columns;
    const T* const biases = pack + op.gates() * all * wide;
    const long sets = op.cell == Cell::GRU ? 4 : op.gates();
    gemm_panel<T>({.a = a + lo * lda,
                   .lda = lda,
                   .b = b,
                   .ldb = columns,
                   .c = gates + part.to * kApart,
                   .ldc = columns,
                   .rows = n,
                   .columns = columns,
                   .depth = part.depth,
                   .bias = part.bias < 0 ? nullptr : biases + sets * block + part.bias * columns,
                   .accumulate = part.bias < 0});
  }
  void products(long panel, long columns, long lo, long n) {
    const long all = op.inputs + op.units;
    const long whole = op.cell == Cell::GRU || op.cell == Cell::GRUBefore ? 2 : op.gates();
    for (long g = 0; g < whole; ++g) product({g, g, 0, all, g}, now, ld, panel, columns, lo, n);
    if (op.cell != Cell::GRU) return;
    product({2, 2, 0, op.inputs, 2}, now, ld, panel, columns, lo, n);
    product({2, 3, op.inputs, op.units, 3}, now + op.inputs, ld, panel, columns, lo, n);
  }

  // One row's gates of units [first, first + n), of which `there` are no padding; and what the way back needs.
  void cell(long i, long k, long first, long n, long there, T* z) {
    T *const hidden_now = h + i * wide + first, *const cell_now = c + i * wide + first;
    T* const back = tape.data ? record(i, k) + first : nullptr;
    if (back) {
      copy(back, hidden(now, i) + first, there);
      if (op.cell == Cell::LSTM) copy(back + op.units, cell_now, there);
      if (op.keeps_plain()) copy(back + op.at_plain() * op.units, hidden_now, there);
    }
    if (op.cell == Cell::LSTM)
      lstm(z, cell_now, hidden_now, n);
    else if (op.cell == Cell::GRU)
      gru(z, hidden_now, n);
    else
      plain_cell(op.cell, z, hidden_now, n);
    if (back) {
      T* const at = back + op.at_gates() * op.units;
      for (long g = 0; g < op.gates(); ++g) copy(at + g * op.units, z + g * kApart, there);
      if (op.cell == Cell::GRU) copy(back + (op.at_second() + 2) * op.units, z + 3 * kApart, there);
    }
  }

  // r h of all units comes before any n.
  void cell_before(long i, long k, long first, long n, long there, T* z, bool second) {
    T *const hidden_now = h + i * wide + first, *const u = c + i * wide + first;
    T* const back = tape.data ? record(i, k) + first : nullptr;
    T* const at = back ? back + op.at_gates() * op.units : nullptr;
    if (!second) {
      T* const product = rh + i * spread(wide) + first;
      reset(z, hidden(now, i) + first, product, n);
      copy(u, z + kApart, n);
      if (!back) return;
      copy(back, hidden(now, i) + first, there);
      copy(back + op.units, product, there);
      if (op.keeps_plain()) copy(back + op.at_plain() * op.units, hidden_now, there);
      for (long g = 0; g < 2; ++g) copy(at + g * op.units, z + g * kApart, there);
    } else {
      gru_before(z, u, hidden_now, n);
      if (back) copy(at + 2 * op.units, z, there);
    }
  }

  void step(long k, bool second) {
    const Panels of{op.inputs + op.units, op.units};
    const long active = rows.active(k);
    for (long p = 0; p < of.count(); ++p) {
      const long first = p * kPanel, n = of.width(p), there = of.present(p);
      for (long lo = 0; lo < active; lo += Recurrence::kRows) {
        const long left = active - lo, count = left < Recurrence::kRows ? left : Recurrence::kRows;
        if (!second) {
          products(p, n, lo, count);
        } else {
          product({2, 0, 0, op.inputs, 2}, now, ld, p, n, lo, count);
          product({2, 0, op.inputs, op.units, -1}, rh, spread(wide), p, n, lo, count);
        }
        for (long i = 0; i < count; ++i) {
          T* const z = gates + i * n;
          if (op.cell == Cell::GRUBefore)
            cell_before(lo + i, k, first, n, there, z, second);
          else
            cell(lo + i, k, first, n, there, z);
          if (op.cell != Cell::GRUBefore || second) put_h(next, lo + i, first, n);
        }
      }
    }
  }

  void leave(long i, long k) const {
    if (op.sequences)
      copy(w.out.at(rows.sample[i]) + rows.at(op, i, k) * op.units, h + i * wide, op.units);
  }

  void run() {
    begin();
    for (long k = 0; k < rows.most(); ++k) {
      step(k, false);
      if (op.cell == Cell::GRUBefore) step(k, true);
      for (long i = 0; i < rows.active(k); ++i) {
        leave(i, k);
        if (k + 1 < rows.steps[i]) put_x(next, i, k + 1);
      }
      T* const swapped = now;
      now = next;
      next = swapped;
    }
    for (long i = 0; i < rows.count; ++i) finish(i);
  }

  // Steps that are not there, and states that are asked for.
  void finish(long i) const {
    T* out = w.out.at(rows.sample[i]);
    const T* const last = h + i * wide;
    if (op.sequences) {
      for (long t = rows.steps[i]; t < op.steps; ++t) {
        if (op.hold)
          copy(out + t * op.units, last, op.units);
        else
          __builtin_memset(static_cast<void*>(out + t * op.units), 0, op.units * sizeof(T));
      }
      out += op.steps * op.units;
    } else {
      copy(out, last, op.units);
      out += op.units;
    }
    if (op.returned) {
      copy(out, last, op.units);
      if (op.memory() > 1) copy(out + op.units, c + i * wide, op.units);
    }
    if (!tape.data) return;
    T* const rest = tape.at(rows.sample[i]) + rows.steps[i] * op.record();
    __builtin_memset(static_cast<void*>(rest), 0,
                     (op.at_start() - rows.steps[i] * op.record()) * sizeof(T));
  }
};

}  // namespace

template <class T>
void run(const ops::Recurrent& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  for (long r = lo; r < hi; r += op.rows()) {
    Walk<T>(op, w, s, r, hi - r < op.rows() ? hi : r + op.rows()).run();
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(Recurrent)

}  // namespace steep::STEEP_ISA
