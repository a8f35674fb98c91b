// The Store in the memory of the device: columns packed as the CPU has them, so that a task is the same stretch
// of numbers on both.
#pragma once
#include <memory>
#include <vector>

#include "cuda/runtime.h"
#include "executor.h"

namespace steep::cuda {

// From a parameter's place in a column to its logical order.
void unpack(const Slice& slice, const float* column, float* out);

class CudaStore final : public Store {
 public:
  CudaStore(std::shared_ptr<const Layout> layout, int columns);
  // Columns of different layouts, over the parameters of `layout`.
  CudaStore(std::shared_ptr<const Layout> layout,
            std::vector<std::shared_ptr<const Layout>> columns);

  float* column(int i) const { return memory_->as<float>() + starts_[i]; }
  int columns() const { return static_cast<int>(columns_.size()); }
  long elements() const { return starts_.back(); }  // of all columns
  const Stream& stream() const { return *stream_; }

  const Layout& layout(int column) const override { return *columns_[column]; }
  using Store::layout;
  long bytes() const override { return static_cast<long>(memory_->bytes()); }
  std::shared_ptr<Store> part(std::shared_ptr<const Layout> layout) const override;
  void get(int column, int parameter, void* out) const override;
  void set(int column, int parameter, const void* in) override;

 private:
  CudaStore(std::shared_ptr<const Layout> layout, const CudaStore& whole)
      : Store(std::move(layout), whole), columns_(whole.columns_.size(), this->shared_layout()),
        starts_(whole.starts_), memory_(whole.memory_), stream_(whole.stream_) {}

  std::vector<std::shared_ptr<const Layout>> columns_;
  std::vector<long> starts_;  // of each, and where the last one ends
  std::shared_ptr<const Memory> memory_;
  std::shared_ptr<const Stream> stream_;  // of copies from and to the host
};

}  // namespace steep::cuda
