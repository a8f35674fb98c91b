// Lays parameters out and converts between packed and logical order.
#include "plan/store.h"

#include <algorithm>

namespace steep {

Layout::Layout(const std::vector<Parameter>& parameters) {
  for (const Parameter& p : parameters) {
    const bool matrix = p.shape.size() == 2;
    const long rows = matrix ? p.shape[0] : 1;
    const long columns = p.shape.back();
    slices.push_back({p.name, p.shape, p.decay, matrix, rows, columns, 0, rows * padded(columns)});
  }
  for (const bool decay : {true, false}) {
    for (Slice& s : slices) {
      if (s.decay != decay) continue;
      s.offset = size;
      size += s.size;
    }
  }
}

template <class T> Store<T>::Store(std::shared_ptr<const Layout> layout, int columns)
    : layout_(std::move(layout)), columns_(columns),
      // Columns start one line past a 4 KiB boundary of each other: equal offsets in w, g and the
      // slots are read together and must not compete for one cache set.
      stride_((layout_->size * static_cast<long>(sizeof(T)) / 4096 + 1) * 4096 /
                  static_cast<long>(sizeof(T)) + 5 * kLane),
      block_(static_cast<std::size_t>(columns_ * stride_) * sizeof(T)) {}

namespace {

// Visits runs of logically and physically adjacent elements: visit(packed, logical, n).
template <class F> void for_runs(const Slice& s, F&& visit) {
  for (long p = 0; p < s.panels(); ++p) {
    const long columns = std::min(kPanel, s.columns - p * kPanel);
    for (long r = 0; r < s.rows; ++r) {
      visit(s.panel_offset(p) + r * s.panel_columns(p), r * s.columns + p * kPanel, columns);
    }
  }
}

}  // namespace

template <class T> void Store<T>::get(int column, int parameter, T* out) const {
  const T* from = this->column(column);
  for_runs(layout_->slices[parameter], [&](long packed, long logical, long n) {
    std::copy_n(from + packed, n, out + logical);
  });
}

template <class T> void Store<T>::set(int column, int parameter, const T* in) const {
  T* to = this->column(column);
  for_runs(layout_->slices[parameter], [&](long packed, long logical, long n) {
    std::copy_n(in + logical, n, to + packed);
  });
}

template class Store<float>;
template class Store<double>;

}  // namespace steep
