// Between the order in which a parameter lies in a column and its logical one, of numbers of any kind.
#pragma once
#include "plan/layout.h"

namespace steep::cuda {

// Visits every element: visit(packed, logical), packed from the slice's start.
template <class F> void for_elements(const Slice& s, F&& visit) {
  const Panels panels = s.panels();
  for (long r = 0; r < s.rows; ++r) {
    for (long c = 0; c < s.columns; ++c) {
      visit(panels.at(r, c), s.narrow ? c * s.rows + r : r * s.columns + c);
    }
  }
}

// From a parameter's place in a column, and to it.
template <class T> void take_out(const Slice& s, const T* column, T* out) {
  for_elements(s, [&](long packed, long logical) { out[logical] = column[s.offset + packed]; });
}
template <class T> void put_in(const Slice& s, const T* in, T* column) {
  for_elements(s, [&](long packed, long logical) { column[s.offset + packed] = in[logical]; });
}

}  // namespace steep::cuda
