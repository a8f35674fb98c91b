// Lays parameters out and converts between packed and logical order.
#include "cpu/store.h"

#include <algorithm>

#include "base/error.h"

namespace steep {

Layout::Layout(const std::vector<Parameter>& parameters) {
  for (const Parameter& p : parameters) {
    const bool matrix = p.shape.size() > 1;
    const bool narrow = p.shape.size() == 2 && p.shape[1] <= kNarrow;
    long rows = narrow ? p.shape[1] : 1;
    for (std::size_t axis = 0; axis + 1 < p.shape.size() && !narrow; ++axis) rows *= p.shape[axis];
    const long columns = narrow ? p.shape[0] : p.shape.back();
    slices.push_back({.name = p.name,
                      .shape = p.shape,
                      .decay = p.decay,
                      .trained = p.trained,
                      .matrix = matrix,
                      .narrow = narrow,
                      .rows = rows,
                      .columns = columns,
                      .offset = 0,
                      .size = rows * padded(columns)});
  }
  for (const bool decay : {true, false}) {
    for (Slice& s : slices) {
      if (s.decay != decay) continue;
      s.offset = size;
      size += s.size;
    }
  }
}

Layout::Layout(const std::vector<Parameter>& parameters, const Layout& whole,
               const std::vector<int>& places)
    : size(whole.size) {
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& p = parameters[i];
    const Slice& place = whole.slices.at(static_cast<std::size_t>(places.at(i)));
    if (place.shape != p.shape) {
      refuse("a part's \"", p.name, "\" has shape ", text_of(p.shape), ", \"", place.name,
             "\" of the whole ", text_of(place.shape));
    }
    slices.push_back(place);
    slices.back().name = p.name;
    slices.back().decay = p.decay;
    slices.back().trained = p.trained;
  }
}

template <class T> Store<T>::Store(std::shared_ptr<const Layout> layout, int columns)
    : layout_(std::move(layout)), columns_(columns),
      // Columns start one line past a 4 KiB boundary of each other: equal offsets in w, g and the
      // slots are read together and must not compete for one cache set.
      stride_((layout_->size * static_cast<long>(sizeof(T)) / 4096 + 1) * 4096 /
                  static_cast<long>(sizeof(T)) +
              5 * kLane),
      held_(std::make_shared<Held>(static_cast<std::size_t>(columns_ * stride_) * sizeof(T))) {}

namespace {

// Visits every element: visit(packed, logical).
template <class F> void for_elements(const Slice& s, F&& visit) {
  const Panels panels = s.panels();
  for (long p = 0; p < panels.count(); ++p) {
    for (long r = 0; r < s.rows; ++r) {
      const long packed = s.offset + panels.at(r, p * kPanel), first = p * kPanel;
      for (long i = 0; i < panels.present(p); ++i) {
        const long c = first + i;
        visit(packed + i, s.narrow ? c * s.rows + r : r * s.columns + c);
      }
    }
  }
}

}  // namespace

template <class T> void Store<T>::get(int column, int parameter, T* out) const {
  const T* from = this->column(column);
  for_elements(layout_->slices[parameter],
               [&](long packed, long logical) { out[logical] = from[packed]; });
}

template <class T> void Store<T>::set(int column, int parameter, const T* in) {
  note_change();
  T* to = this->column(column);
  for_elements(layout_->slices[parameter],
               [&](long packed, long logical) { to[packed] = in[logical]; });
}

template class Store<float>;
template class Store<double>;

}  // namespace steep
