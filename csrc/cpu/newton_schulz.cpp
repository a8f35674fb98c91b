// The stages of Newton-Schulz: symmetric products by their upper triangle, X multiplied as seldom as can be.
#include "cpu/newton_schulz.h"

#include <algorithm>
#include <cmath>

#include "cpu/threads.h"

namespace steep {

namespace {

constexpr long kDepth = 1024;  // rows of a panel (128 KB) that a symmetric product adds at a time

void meet(int threads) {
  if (threads > 1) pool().meet();
}

}  // namespace

template <class T>
NewtonSchulz<T>::NewtonSchulz(const std::vector<Panels>& matrices)
    : k_(kernels<T>()), plan_(matrices, k_.tile_rows),
      memory_(static_cast<std::size_t>(plan_.elements) * sizeof(T)) {}

template <class T>
void NewtonSchulz<T>::run(T* const* matrices, const double* squares, const Quintic& quintic,
                          int thread, int threads) {
  const Run run{matrices, squares, quintic};
  if (thread == 0) next_[0] = 0;
  meet(threads);
  int lists = 0;
  const auto share = [&](long count, auto&& work) { take(lists++, count, thread, threads, work); };
  for (const Plan::Wave& wave : plan_.waves) {
    if (wave.apart(threads)) {
      share(wave.count, [&](long i) {
        walk(plan_.matrices[wave.first + i].units, wave.tall, run,
             [&](const Units& units, auto&& work) {
               for (const Unit& u : units) work(u, plan_.matrices[u.matrix]);
             });
      });
    } else {
      walk(wave.units, wave.tall, run, [&](const Units& units, auto&& work) {
        share(units.size(), [&](long i) { work(units[i], plan_.matrices[units[i].matrix]); });
      });
    }
  }
}

// Threads take from a list of so many until nothing is left, and meet. The counter of the next list was
// last used before they met the last time.
template <class T>
template <class F>
void NewtonSchulz<T>::take(int list, long count, int thread, int threads, F&& work) {
  if (thread == 0) next_[(list + 1) % 2].store(0, std::memory_order_relaxed);
  std::atomic<long>& next = next_[list % 2];
  for (long i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) work(i);
  meet(threads);
}

// each(units, work) does the work of a stage before it returns. Square 0 is A; p and q are where the last
// step's P lies, and the product of those since X was multiplied. All of them are polynomials of one
// symmetric matrix: they commute, products are symmetric, and X'^T X' = P A P.
template <class T>
template <class F>
void NewtonSchulz<T>::walk(const Plan::Lists& lists, bool tall, const Run& run, F&& each) {
  const auto multiply = [&](int left, int right, int out) {
    each(lists.squares, [=, this](const Unit& u, const Matrix& m) {
      symmetric(u, m, square(m, left), square(m, right), m.square, square(m, out));
      mirror(u, m, square(m, out));
    });
  };
  const auto polynomial_of_a = [&](int out) {
    each(lists.squares, [=, this, &run](const Unit& u, const Matrix& m) {
      symmetric(u, m, square(m, 0), square(m, 0), m.square, square(m, out));
      polynomial(u, m, run.quintic, square(m, out));
      mirror(u, m, square(m, out));
    });
  };
  const int joined = tall ? Plan::kJoined : 1;
  int left = run.quintic.steps, turns = static_cast<int>(ceil_div(left, joined));
  each(lists.copies,
       [&](const Unit& u, const Matrix& m) { begin(u, m, run, x_at(m, run, turns)); });
  for (; turns > 0; --turns) {
    each(lists.squares, [&](const Unit& u, const Matrix& m) {
      const T* const x = x_at(m, run, turns);
      symmetric(u, m, x, x, m.x, square(m, 0));
      mirror(u, m, square(m, 0));
    });
    int p = 1, q = 1;
    polynomial_of_a(p);
    for (int more = std::min(left, joined) - 1; more > 0; --more) {
      const int w = p == q ? 2 : 6 - p - q, out = 6 - q - w;  // of squares 1 to 3, the other ones
      multiply(0, p, w);
      multiply(w, p, 0);
      polynomial_of_a(w);
      multiply(q, w, out);
      p = w;
      q = out;
    }
    each(lists.products, [&](const Unit& u, const Matrix& m) {
      product(u, m, x_at(m, run, turns), square(m, q), x_at(m, run, turns - 1));
    });
    left -= joined;
  }
  each(lists.copies, [&](const Unit& u, const Matrix& m) { end(u, m, run); });
}

template <class T> T* NewtonSchulz<T>::square(const Matrix& m, int i) const {
  return reinterpret_cast<T*>(memory_.data()) + m.scratch + i * m.square.size();
}

// X before so many products that are left: by turns in scratch memory and, unless turned, at the caller's.
template <class T> T* NewtonSchulz<T>::x_at(const Matrix& m, const Run& run, int left) const {
  if (left % 2 == 0 && !m.turned) return run.matrices[m.index];
  return square(m, static_cast<int>(m.squares())) + (left % 2 == 0 ? m.x.size() : 0);
}

template <class T>
void NewtonSchulz<T>::begin(const Unit& u, const Matrix& m, const Run& run, T* x) const {
  const double length = std::sqrt(run.squares[m.index]) + run.quintic.eps;
  const T factor = static_cast<T>(length == 0 ? 0 : 1 / length);
  const auto scale = [&](const T* from, T* to, long rows, long columns, long width) {
    for (long r = 0; r < rows; ++r)
      for (long c = 0; c < columns; ++c) to[r * width + c] = factor * from[r * width + c];
  };
  for (long p = u.first; p < u.last; ++p) {
    const T* const from = run.matrices[m.index] + m.stored.offset(p);
    const long width = m.stored.width(p), columns = m.stored.present(p);
    if (!m.turned) {
      scale(from, x + m.stored.offset(p), m.stored.rows, columns, width);
      continue;
    }
    for (long i = 0; i < m.x.count(); ++i) {
      T* const to = x + m.x.at(p * kPanel, i * kPanel);
      k_.transpose(from + i * kPanel * width, width, to, m.x.width(i), m.x.present(i), columns);
      scale(to, to, columns, m.x.present(i), m.x.width(i));
    }
  }
}

template <class T>
void NewtonSchulz<T>::end(const Unit& u, const Matrix& m, const Run& run) const {
  if (!m.turned) return;
  const T* const x = x_at(m, run, 0);
  for (long p = u.first; p < u.last; ++p) {
    const long width = m.stored.width(p);
    for (long i = 0; i < m.x.count(); ++i) {
      k_.transpose(x + m.x.at(p * kPanel, i * kPanel), m.x.width(i),
                   run.matrices[m.index] + m.stored.offset(p) + i * kPanel * width, width,
                   m.stored.present(p), m.x.present(i));
    }
  }
}

// Blocks (row, column) of a unit on and above the diagonal, in panels.
template <class T> template <class F> void NewtonSchulz<T>::over_blocks(const Unit& u, F&& f) {
  for (long column = u.left; column < u.right; ++column)
    for (long row = u.first; row < std::min(u.last, column + 1); ++row) f(row, column);
}

// out = left^T right, in the unit's blocks; of one on the diagonal, the last kLane rows only from the
// diagonal on. Sums do not depend on how rows are cut. Padding of scratch memory may hold anything: it is only
// ever multiplied into padding.
template <class T>
void NewtonSchulz<T>::symmetric(const Unit& u, const Matrix& m, const T* left, const T* right,
                                const Panels& of, T* out) const {
  in_parts(of.rows, kDepth, [&](long first, long last) {
    over_blocks(u, [&](long row, long column) {
      GemmPanel<T> g{.a = left + of.at(first, row * kPanel),
                     .lda = of.width(row),
                     .a_transposed = true,
                     .b = right + of.at(first, column * kPanel),
                     .ldb = of.width(column),
                     .c = out + m.square.at(row * kPanel, column * kPanel),
                     .ldc = m.square.width(column),
                     .rows = m.square.present(row),
                     .columns = m.square.width(column),
                     .depth = last - first,
                     .accumulate = first > 0,
                     .present = m.square.present(column)};
      if (row == column && g.rows > kLane) {
        GemmPanel<T> lower = g;
        lower.a += kLane;
        lower.b += kLane;
        lower.c += kLane * g.ldc + kLane;
        lower.rows -= kLane;
        lower.columns = kLane;
        lower.present -= kLane;
        k_.gemm_panel(lower);
        g.rows = kLane;
      }
      k_.gemm_panel(g);
    });
  });
}

// P = aI + bA + cAA, where P holds AA.
template <class T>
void NewtonSchulz<T>::polynomial(const Unit& u, const Matrix& m, const Quintic& q, T* out) const {
  const T a = static_cast<T>(q.a), b = static_cast<T>(q.b), c = static_cast<T>(q.c);
  over_blocks(u, [&](long row, long column) {
    const long at = m.square.at(row * kPanel, column * kPanel), width = m.square.width(column);
    for (long r = 0; r < m.square.present(row); ++r) {
      const T* const gram = square(m, 0) + at + r * width;
      T* const p = out + at + r * width;
      for (long i = 0; i < m.square.present(column); ++i) p[i] = c * p[i] + b * gram[i];
      if (row == column) p[r] += a;
    }
  });
}

// Fills what was left out below the diagonal.
template <class T>
void NewtonSchulz<T>::mirror(const Unit& u, const Matrix& m, T* out) const {
  const Panels& s = m.square;
  over_blocks(u, [&](long row, long column) {
    const long r = row * kPanel, c = column * kPanel + (row == column ? kLane : 0);
    const long rows = row == column ? kLane : s.present(row), columns = s.columns - c;
    if (columns <= 0) return;
    k_.transpose(out + s.at(r, c), s.width(column), out + s.at(c, r), s.width(row), rows,
                 std::min(columns, column * kPanel + kPanel - c));
  });
}

// out = x q. Whole panels of x are one batch reduction; the last one, narrower, comes by itself.
template <class T>
void NewtonSchulz<T>::product(const Unit& u, const Matrix& m, const T* x, const T* q,
                              T* out) const {
  const long whole = static_cast<long>(m.terms.size()), rest = m.x.columns - whole * kPanel;
  for (long column = u.left; column < u.right; ++column) {
    const long width = m.x.width(column);
    GemmPanel<T> g{.b = q + m.square.offset(column),
                   .ldb = width,
                   .c = out + m.x.at(u.first, column * kPanel),
                   .ldc = width,
                   .rows = u.last - u.first,
                   .columns = width,
                   .present = m.x.present(column)};
    if (whole > 0) {
      g.a = x + u.first * kPanel;
      g.lda = kPanel;
      g.depth = kPanel;
      g.count = whole;
      g.a_offsets = m.terms.data();
      g.b_offsets = (width == kPanel ? plan_.wide_terms : plan_.slim_terms).data();
      k_.gemm_panel(g);
    }
    if (rest > 0) {
      g.a = x + m.x.at(u.first, whole * kPanel);
      g.lda = m.x.width(whole);
      g.b += whole * kPanel * width;
      g.depth = rest;
      g.count = 1;
      g.a_offsets = g.b_offsets = nullptr;
      g.accumulate = whole > 0;
      k_.gemm_panel(g);
    }
  }
}

template class NewtonSchulz<float>;
template class NewtonSchulz<double>;

}  // namespace steep
