// Weights brought back between their bounds after an update: single ones in their block, columns by their
// length once all of their blocks are there.
#include <cmath>
#include <limits>

#include "cpu/threads.h"
#include "cpu/update.h"

namespace steep {

// Of a look-ahead rule the bound is that of w, which is `look` velocities behind the point.
template <class T>
void Update<T>::bound(const Ruled<T>& r, long offset, long n, double look) const {
  const Bound& of = r.slice->bound;
  const T limit = static_cast<T>(of.limit);
  const bool clips = of.kind == Bound::Kind::Clip;
  const T low = clips ? -limit : T(0), high = clips ? limit : std::numeric_limits<T>::infinity();
  const auto clip = [=](T* w) {
    for (long i = 0; i < n; ++i) w[i] = w[i] < low ? low : w[i] > high ? high : w[i];
  };
  T* const w = w_ + offset;
  if (look == 0) return clip(w);
  alignas(64) T behind[kLargestTask];
  const T* const v = r.slot(r.info->slot("v"), offset);
  k_.look_back(w, v, behind, n, static_cast<T>(look));
  clip(behind);
  k_.look_ahead(behind, v, n,
                static_cast<T>(look));  // the bits of the point again, where nothing was cut
  std::copy_n(behind, n, w);
}

// Panels are shared by the threads; of W^T and of vectors all are one piece.
template <class T>
void Update<T>::bound_columns(const Knobs& knobs, int thread, int threads) const {
  if (!bounds_columns_) return;
  if (threads > 1) pool().meet();
  long piece = 0;
  for (const Ruled<T>& r : ruled_) {
    if (r.info == nullptr) continue;  // nobody moves it
    const Slice& s = *r.slice;
    if (!s.trained || !s.bound.by_column()) continue;
    const bool whole = s.narrow || !s.matrix;
    const Panels panels = s.panels();
    const long step = whole ? panels.count() : 1;
    for (long first = 0; first < panels.count(); first += step, ++piece) {
      if (piece % threads != thread) continue;
      const long end = first + step - 1, from = panels.offset(first);
      const long size = panels.offset(end) + panels.rows * panels.width(end) - from;
      bound_panels(r, first, first + step, knobs);
      follow(r, s.offset + from, size, knobs, When::After);
      if (knobs.shared(kPull) != 0) bound_panels(r, first, first + step, knobs);
    }
  }
}

// Columns are those of the parameter: in panels they are columns, in W^T and of a vector rows.
template <class T>
void Update<T>::bound_panels(const Ruled<T>& r, long first, long last, const Knobs& knobs) const {
  const Slice& s = *r.slice;
  const Panels panels = s.panels();
  const bool across = s.narrow || !s.matrix;
  const bool ahead = r.info->look_ahead;
  const double look = ahead ? knobs.of(r, "look_next") : 0;
  // each(row, place in the Store, how many) for every row of a panel.
  const auto rows = [&](auto&& each) {
    for (long p = first; p < last; ++p) {
      for (long row = 0; row < panels.rows; ++row) {
        each(row, s.offset + panels.offset(p) + row * panels.width(p), panels.width(p));
      }
    }
  };
  alignas(64) T w[kPanel];
  const auto read = [&](long at, long n) {
    ahead ? k_.look_back(w_ + at, r.slot(r.info->slot("v"), at), w, n, static_cast<T>(look))
          : void(std::copy_n(w_ + at, n, w));
  };
  double factor[kPanel] = {};  // first the squares
  rows([&](long row, long at, long n) {
    read(at, n);
    for (long c = 0; c < n; ++c) {
      factor[across ? row : c] += static_cast<double>(w[c]) * static_cast<double>(w[c]);
    }
  });
  bool moves = false;
  for (double& f : factor) {
    const double length = std::sqrt(f), limit = s.bound.limit;
    const bool unit = s.bound.kind == Bound::Kind::UnitNorm;
    f = length > 0 && std::isfinite(length) && (unit || length > limit)
            ? (unit ? 1 : limit) / length
            : 1;
    moves |= f != 1;
  }
  if (moves) {
    rows([&](long row, long at, long n) {
      read(at, n);
      for (long c = 0; c < n; ++c) {
        w[c] = static_cast<T>(factor[across ? row : c] * static_cast<double>(w[c]));
      }
      if (ahead) k_.look_ahead(w, r.slot(r.info->slot("v"), at), n, static_cast<T>(look));
      std::copy_n(w, n, w_ + at);
    });
  }
}

#define STEEP_BOUNDS(T)                                                      \
  template void Update<T>::bound(const Ruled<T>&, long, long, double) const; \
  template void Update<T>::bound_columns(const Knobs&, int, int) const;
STEEP_BOUNDS(float)
STEEP_BOUNDS(double)
#undef STEEP_BOUNDS

}  // namespace steep
