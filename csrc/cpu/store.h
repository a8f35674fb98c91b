// The Store in the memory of the CPU: columns laid out as the GEMM kernels want them.
#pragma once
#include <memory>
#include <vector>

#include "base/memory.h"
#include "executor.h"

namespace steep {

template <class T> class CpuStore final : public Store {
 public:
  CpuStore(std::shared_ptr<const Layout> layout, int columns);
  // Columns of different layouts, over the parameters of `layout`.
  CpuStore(std::shared_ptr<const Layout> layout,
           std::vector<std::shared_ptr<const Layout>> columns);

  T* column(int i) const { return reinterpret_cast<T*>(block_->data()) + starts_[i]; }
  int columns() const { return static_cast<int>(columns_.size()); }
  long elements() const { return starts_.back(); }
  const Layout& layout(int column) const override { return *columns_[column]; }
  using Store::layout;

  long bytes() const override { return static_cast<long>(block_->bytes()); }
  std::shared_ptr<Store> part(std::shared_ptr<const Layout> layout) const override;
  void get(int column, int parameter, void* out) const override;
  void set(int column, int parameter, const void* in) override;

 private:
  CpuStore(std::shared_ptr<const Layout> layout, const CpuStore& whole)
      : Store(std::move(layout), whole), columns_(whole.columns_.size(), this->shared_layout()),
        starts_(whole.starts_), block_(whole.block_) {}

  std::vector<std::shared_ptr<const Layout>> columns_;
  std::vector<long> starts_;  // of each, and where the last one ends
  std::shared_ptr<const Block> block_;
};

// f(the store as what it is).
template <class F> decltype(auto) with_type(const Store& store, F&& f) {
  if (store.layout().format == Format::Float64) {
    return f(static_cast<const CpuStore<double>&>(store));
  }
  return f(static_cast<const CpuStore<float>&>(store));
}

}  // namespace steep
