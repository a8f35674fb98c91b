// Converts between packed and logical order.
#include "cpu/store.h"

#include "base/dual.h"

namespace steep {

namespace {

// Columns start one line past a 4 KiB boundary of each other: equal offsets in w, g and the slots are
// read together and must not compete for one cache set.
template <class T> std::vector<long> starts(const std::vector<std::shared_ptr<const Layout>>& all) {
  constexpr long kItem = sizeof(T);
  std::vector<long> starts{0};
  for (const auto& layout : all) {
    starts.push_back(starts.back() + (layout->size * kItem / 4096 + 1) * 4096 / kItem + 5 * kLane);
  }
  return starts;
}

}  // namespace

template <class T>
CpuStore<T>::CpuStore(std::shared_ptr<const Layout> layout,
                      std::vector<std::shared_ptr<const Layout>> columns)
    : Store(std::move(layout)), columns_(std::move(columns)), starts_(starts<T>(columns_)),
      block_(std::make_shared<Block>(static_cast<std::size_t>(elements()) * sizeof(T))) {}

template <class T>
CpuStore<T>::CpuStore(std::shared_ptr<const Layout> layout, int columns)
    : CpuStore(layout, std::vector(static_cast<std::size_t>(columns), layout)) {}

template <class T>
std::shared_ptr<Store> CpuStore<T>::part(std::shared_ptr<const Layout> layout) const {
  return std::shared_ptr<Store>(new CpuStore(std::move(layout), *this));
}

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

template <class T> void CpuStore<T>::get(int column, int parameter, void* out) const {
  const T* from = this->column(column);
  T* to = static_cast<T*>(out);
  for_elements(layout(column).slices[parameter],
               [&](long packed, long logical) { to[logical] = from[packed]; });
}

template <class T> void CpuStore<T>::set(int column, int parameter, const void* in) {
  note_change();
  const T* from = static_cast<const T*>(in);
  T* to = this->column(column);
  for_elements(layout(column).slices[parameter],
               [&](long packed, long logical) { to[packed] = from[logical]; });
}

template class CpuStore<float>;
template class CpuStore<double>;
template class CpuStore<portable::Dual>;

}  // namespace steep
