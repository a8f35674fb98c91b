// What stands behind the door to the device's memory, and what data sets want of it.
#pragma once
#include <map>
#include <mutex>

#include "cuda/kernels/elements.h"
#include "cuda/runtime.h"
#include "data/source.h"

namespace steep::cuda {

// As kernels take it: neighbouring axes joined. Refuses more axes than they walk.
Strided strided(const Elements& of);
// Rows [first, first + count) of samples in the device's memory.
Elements rows_of(const Source& s, long first, long count);

// Lives as long as the process: blocks come back whenever others let go of them.
class CudaMemory final : public DeviceMemory {
 public:
  std::uintptr_t stream() const override;
  void wait(std::uintptr_t stream) const override;
  int owner(const void* address) const override { return owner_of(address); }
  std::shared_ptr<std::byte> reserve(long bytes) const override;
  std::shared_ptr<std::byte> borrow(long bytes) const override;
  void copy(const Elements& from, Number number, std::byte* to) const override;
  void read(const std::byte* from, long bytes, void* to) const override;
  long first_unwanted(const Elements& of, const Wanted& wanted) const override;
  long first_unwanted_sum(const Elements& of, double low, double high) const override;

 private:
  template <class Find> long first(Find&& find) const;
  void give_back(Memory block) const;

  const Stream stream_;
  const Memory found_{sizeof(unsigned long long)};
  // Small blocks that came back, by their size: an allocation waits for all of the device.
  mutable std::multimap<std::size_t, Memory> free_;
  mutable std::size_t free_bytes_ = 0;
  mutable std::mutex mutex_, free_mutex_;
};

}  // namespace steep::cuda
