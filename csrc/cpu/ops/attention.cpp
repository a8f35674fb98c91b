// Attention: the rows of a head's probabilities a block at a time, in scratch memory, forward and again for
// the gradient. Products are the panel kernel's.
#include "ops/attention.h"

#include "cpu/kernels/gemm.h"
#include "cpu/kernels/row.h"
#include "cpu/ops/call.h"
#include "cpu/ops/drawn.h"

namespace steep::STEEP_ISA {
namespace {

template <class T> struct Rows {  // of a matrix in a tensor
  T* at;
  long ld;
  STEEP_HD T* row(long r) const { return at + r * ld; }
};

// dst = columns [0, n) of src's first `rows` rows in panels of kPanel, with zeros up to `many` rows.
template <class T>
STEEP_HD void pack(const Rows<const T>& src, long rows, long n, long many, T* dst) {
  const Panels to{many, n};
  for (long p = 0; p < to.count(); ++p) {
    const long width = to.width(p), present = to.present(p);
    T* const panel = dst + to.offset(p);
    for (long r = 0; r < rows; ++r) {
      const T* const from = src.row(r) + p * kPanel;
      for (long c = 0; c < present; ++c) panel[r * width + c] = from[c];
      for (long c = present; c < width; ++c) panel[r * width + c] = T(0);
    }
    for (long e = rows * width; e < many * width; ++e) panel[e] = T(0);
  }
}

// dst = src^T (n, rows) in panels of kPanel rows of src, with zeros beyond.
template <class T>
STEEP_HD void pack_turned(const Rows<const T>& src, long rows, long n, T* dst) {
  for (long r = 0; r < rows; r += kPanel, dst += n * kPanel) {
    const long left = rows - r < kPanel ? rows - r : kPanel;
    if (left < kPanel) __builtin_memset(dst, 0, n * kPanel * sizeof(T));
    transpose(src.row(r), src.ld, dst, kPanel, left, n);
  }
}

// The products of a block of rows by panels: C (rows, n), or of as many columns as there are.
template <class T>
STEEP_HD void multiply(const Rows<const T>& a, bool turned, long rows, long depth, const T* b,
                       long b_rows, long n, const Rows<T>& c, bool accumulate) {
  const Panels of{b_rows, n};
  for (long p = 0; p < of.count(); ++p) {
    const long width = of.width(p), present = of.present(p);
    gemm_panel<T>({.a = a.at,
                   .lda = a.ld,
                   .a_transposed = turned,
                   .b = b + of.offset(p),
                   .ldb = width,
                   .c = c.at + p * kPanel,
                   .ldc = c.ld,
                   .rows = rows,
                   .columns = width,
                   .depth = depth,
                   .accumulate = accumulate,
                   .present = present < width ? present : 0});
  }
}

// What the passes of one head of one sample share.
template <class T> struct Head {
  const ops::Attending& op;
  Rows<const T> q, k, v;
  long limit;  // keys that there are
  long row;    // the sample's number among those drawn for
  long number;
  Words words;

  STEEP_HD long seen(long query) const {
    const long own = op.causal ? query + 1 : limit;
    return own < limit ? own : limit;
  }
  // Keys that queries before `end` may see, in whole panels.
  STEEP_HD long wide(long end) const {
    const long most = seen(end - 1);
    return most < 1 ? kPanel : (most + kPanel - 1) / kPanel * kPanel;
  }

  // p = the probabilities of queries [first, end), 0 where there are no keys.
  STEEP_HD void probabilities(const T* kt, long first, long end, T* p) const {
    const long n = op.head(), many = op.many(), width = wide(end);
    multiply<T>({q.row(first), q.ld}, false, end - first, n, kt, n, width, {p, many}, false);
    const T scale = T(1) / sqrt_(T(double(n)));
    for (long i = first; i < end; ++i) {
      T* const row = p + (i - first) * many;
      const long count = seen(i);
      if (count < 1) {
        __builtin_memset(row, 0, width * sizeof(T));
        continue;
      }
      const T top = row_max(row, count);
      T lane[kLane] = {};
      for (long c = 0; c < width; c += kLane) {
#pragma GCC ivdep
        for (long j = 0; j < kLane; ++j) {
          const T e = exp_down((row[c + j] - top) * scale);
          row[c + j] = c + j < count ? e : T(0);
          lane[j] += row[c + j];
        }
      }
      const T share = T(1) / sum_lanes(lane);
      for (long c = 0; c < width; ++c) row[c] *= share;
    }
  }

  // to = keep ? from/(1 - rate) : 0 for the probabilities of queries [first, end).
  STEEP_HD void drop(long first, long end, const T* from, T* to) const {
    const long many = op.many(), width = wide(end);
    const uint32_t threshold = uint32_t(__builtin_llround(op.rate * 4294967296.0));
    const T scale = T(1 / (1 - op.rate));
    const Counter counter = counter_of(words, row);
    for (long i = first; i < end; ++i) {
      const uint32_t block = uint32_t((number * op.queries + i) * (many / 4));
      for (long c = 0; c < width; c += kDrawn) {
        const long n = width - c < kDrawn ? width - c : kDrawn, at = (i - first) * many + c;
        uint32_t word[kDrawn + 4 * kBlocks];
        philox_blocks(counter, block + uint32_t(c / 4), n / 4, word);
        for (long j = 0; j < n; ++j)
          to[at + j] = word[j] >= threshold ? from[at + j] * scale : T(0);
      }
    }
  }
  STEEP_HD bool drops() const { return op.training && op.rate > 0; }
};

// The head `h` of row r; tensors of an op's inputs from `first` on.
template <class T>
STEEP_HD Head<T> head_of(const ops::Attending& op, const Work<T>& w, const Step<T>& s, int first,
                         long r, long h) {
  const long at = h * op.head();
  const ops::Attending::Places of = op.places();
  long limit = op.keys;
  if (op.masked) {
    const double given = plain(w.in[first + 3].at(r)[0]);
    limit = given >= 1 && given < double(op.keys) ? long(given) : op.keys;
  }
  return {op,
          {w.in[first].at(r) + of.q + at, of.own},
          {w.in[first + 1].at(r) + of.k + at, of.theirs},
          {w.in[first + 2].at(r) + of.v + at, of.theirs},
          limit,
          r,
          h,
          {s.seed, s.step, op.stream, s.first}};
}

// Scratch memory in pieces.
template <class T> struct Pieces {
  T* next;
  STEEP_HD T* take(long n) {
    T* const taken = next;
    next += n;
    return taken;
  }
};

template <class T>
STEEP_HD void attend(const ops::Attending& op, const Work<T>& w, const Step<T>& s, long lo,
                     long hi) {
  const long n = op.head(), many = op.many();
  for (long r = lo; r < hi; ++r) {
    for (long h = 0; h < op.heads; ++h) {
      Pieces<T> scratch{s.scratch};
      const Head<T> head = head_of(op, w, s, 0, r, h);
      T *const kt = scratch.take(n * many), *const v = scratch.take(padded(n) * many);
      T* const p = scratch.take(op.kRows * many);
      pack_turned(head.k, op.keys, n, kt);
      pack(head.v, op.keys, n, many, v);
      for (long first = 0; first < op.queries; first += op.kRows) {
        const long end = first + op.kRows < op.queries ? first + op.kRows : op.queries;
        head.probabilities(kt, first, end, p);
        if (head.drops()) head.drop(first, end, p, p);
        multiply<T>({p, many}, false, end - first, head.wide(end), v, many, n,
                    {w.out.at(r) + first * op.width + h * n, op.width}, false);
      }
    }
  }
  clear_padding(w.out, lo, hi);
}

template <class T>
STEEP_HD void write_back(const T* panels, long many, long rows, long n, const Rows<T>& to,
                         bool accumulate) {
  const Panels of{many, n};
  for (long r = 0; r < rows; ++r)
    for (long c = 0; c < n; ++c) {
      const T value = panels[of.at(r, c)];
      to.row(r)[c] = accumulate ? to.row(r)[c] + value : value;
    }
}

// Where the gradients of a head's Q, K and V lie in row r of out.
template <class T> struct Backward { Rows<T> q, k, v; };
template <class T>
STEEP_HD Backward<T> places(const ops::Attending& op, T* out, long h) {
  const ops::Attending::Places of = op.gradient_places();
  T* const head = out + h * op.head();
  return {{head + of.q, of.own}, {head + of.k, of.theirs}, {head + of.v, of.theirs}};
}

// dS = P*(dP - sum P*dP)*scale of queries [first, end), in the place of dP.
template <class T>
STEEP_HD void slope(const Head<T>& head, long first, long end, const T* p, T* dp) {
  const long many = head.op.many(), width = head.wide(end);
  const T scale = T(1) / sqrt_(T(double(head.op.head())));
  for (long i = 0; i < end - first; ++i) {
    const T* const share = p + i * many;
    T* const down = dp + i * many;
    T lane[kLane] = {};
    for (long c = 0; c < width; c += kLane)
      for (long j = 0; j < kLane; ++j) lane[j] = fma_(share[c + j], down[c + j], lane[j]);
    const T dot = sum_lanes(lane);
#pragma GCC ivdep
    for (long c = 0; c < width; ++c) down[c] = share[c] * (down[c] - dot) * scale;
  }
}

template <class T>
STEEP_HD void attend_back(const ops::Attending& op, const Work<T>& w, const Step<T>& s, long r,
                          long h) {
  const long n = op.head(), many = op.many(), d = op.width, wide = padded(n);
  Pieces<T> scratch{s.scratch};
  const Head<T> head = head_of(op, w, s, 1, r, h);
  const Backward<T> to = places(op, w.out.at(r), h);
  T *const kt = scratch.take(n * many), *const vt = scratch.take(n * many);
  T *const k = scratch.take(wide * many), *const dk = scratch.take(wide * many);
  T* const dv = scratch.take(wide * many);
  T *const q = scratch.take(op.kRows * wide), *const up = scratch.take(op.kRows * wide);
  T *const p = scratch.take(op.kRows * many), *const dp = scratch.take(op.kRows * many);
  T* const dropped = scratch.take(op.kRows * many);
  pack_turned(head.k, op.keys, n, kt);
  pack_turned(head.v, op.keys, n, vt);
  pack(head.k, op.keys, n, many, k);
  __builtin_memset(dk, 0, wide * many * sizeof(T));
  __builtin_memset(dv, 0, wide * many * sizeof(T));
  for (long first = 0; first < op.queries; first += op.kRows) {
    const long end = first + op.kRows < op.queries ? first + op.kRows : op.queries;
    const long rows = end - first, width = head.wide(end);
    const Rows<const T> dy{w.in[0].at(r) + first * d + h * n, d};
    head.probabilities(kt, first, end, p);
    multiply<T>(dy, false, rows, n, vt, n, width, {dp, many}, false);
    if (head.drops()) {
      head.drop(first, end, p, dropped);
      head.drop(first, end, dp, dp);
    }
    slope(head, first, end, p, dp);
    multiply<T>({dp, many}, false, rows, width, k, many, n, {to.q.row(first), to.q.ld},
                w.accumulate);
    pack<T>({head.q.row(first), head.q.ld}, rows, n, rows, q);
    pack(dy, rows, n, rows, up);
    const Panels of{many, n};
    for (long c = 0; c < of.count(); ++c) {
      const long columns = of.width(c);
      const auto add = [&](const T* a, const T* b, T* sums) {
        gemm_panel<T>({.a = a,
                       .lda = many,
                       .a_transposed = true,
                       .b = b + c * kPanel * rows,
                       .ldb = columns,
                       .c = sums + of.offset(c),
                       .ldc = columns,
                       .rows = width,
                       .columns = columns,
                       .depth = rows,
                       .accumulate = true});
      };
      add(dp, q, dk);
      add(head.drops() ? dropped : p, up, dv);
    }
  }
  write_back(dk, many, op.keys, n, to.k, w.accumulate);
  write_back(dv, many, op.keys, n, to.v, w.accumulate);
}

}  // namespace

template <class T>
void run(const ops::Attention& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  attend(op, w, s, lo, hi);
}
STEEP_CALL(Attention)

template <class T>
void run(const ops::MaskedAttention& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  attend(op, w, s, lo, hi);
}
STEEP_CALL(MaskedAttention)

template <class T>
void run(const ops::AttentionGrad& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  for (long r = lo; r < hi; ++r)
    for (long h = 0; h < op.heads; ++h) attend_back(op, w, s, r, h);
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(AttentionGrad)

template <class T>
void run(const ops::BatchMatMul& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const long a_ld = op.turned_a ? op.rows : op.depth, b_ld = op.turned_b ? op.depth : op.columns;
  for (long r = lo; r < hi; ++r) {
    for (long place = 0; place < op.places; ++place) {
      const T* const a = w.in[0].at(r) + place * op.rows * op.depth;
      const T* const b = w.in[1].at(r) + place * op.depth * op.columns;
      T* const c = w.out.at(r) + place * op.rows * op.columns;
      for (long first = 0; first < op.columns; first += kPanel) {
        const long left = op.columns - first, n = left < kPanel ? left : kPanel;
        if (op.turned_b)
          pack_turned<T>({b + first * b_ld, b_ld}, n, op.depth, s.scratch);
        else
          pack<T>({b + first, b_ld}, op.depth, n, op.depth, s.scratch);
        const long width = op.turned_b ? kPanel : padded(n);
        gemm_panel<T>({.a = a,
                       .lda = a_ld,
                       .a_transposed = op.turned_a,
                       .b = s.scratch,
                       .ldb = width,
                       .c = c + first,
                       .ldc = op.columns,
                       .rows = op.rows,
                       .columns = width,
                       .depth = op.depth,
                       .accumulate = w.accumulate,
                       .present = n < width ? n : 0});
      }
    }
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(BatchMatMul)

}  // namespace steep::STEEP_ISA
