// Arrays of others in the device's memory: waited for, looked at, copied.
#include "cuda/device_memory.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/error.h"

namespace steep::cuda {

namespace {

constexpr std::size_t kSmallest = 4096, kLargest = 1 << 20, kMostFree = 16 << 20;  // bytes

}  // namespace

Strided strided(const Elements& of) {
  Strided to{of.data, of.number, of.size(), 0, {}, {}};
  for (std::size_t i = 0; i < of.shape.size(); ++i) {
    if (of.shape[i] == 1) continue;
    const int last = to.axes - 1;
    if (last >= 0 && to.strides[last] == of.strides[i] * of.shape[i]) {
      to.shape[last] *= of.shape[i];
      to.strides[last] = of.strides[i];
      continue;
    }
    if (to.axes == kMostAxes) refuse("device=\"cuda\": arrays of at most ", kMostAxes, " axes");
    to.shape[to.axes] = of.shape[i];
    to.strides[to.axes++] = of.strides[i];
  }
  return to;
}

Elements rows_of(const Source& s, long first, long count) {
  Elements rows{s.data + first * s.sample_stride, number_of(s.format), {count}, {s.sample_stride}};
  rows.shape.insert(rows.shape.end(), s.shape.begin(), s.shape.end());
  rows.strides.insert(rows.strides.end(), s.strides.begin(), s.strides.end());
  return rows;
}

std::uintptr_t CudaMemory::stream() const {
  return reinterpret_cast<std::uintptr_t>(stream_.get());
}

void CudaMemory::wait(std::uintptr_t stream) const {
  const cudaError_t error = stream == 0
                                ? cudaDeviceSynchronize()
                                : cudaStreamSynchronize(reinterpret_cast<cudaStream_t>(stream));
  check(error, "the stream of an array");
}

// Whoever has it may still read it when it comes back: freeing waits for all of the device.
std::shared_ptr<std::byte> CudaMemory::reserve(long bytes) const {
  const auto memory = std::make_shared<Memory>(static_cast<std::size_t>(bytes));
  return {memory, memory->data()};
}

std::shared_ptr<std::byte> CudaMemory::borrow(long bytes) const {
  auto size = static_cast<std::size_t>(bytes);
  if (size > kLargest) return reserve(bytes);
  size = std::max(kSmallest, std::bit_ceil(size));
  Memory block;
  {
    const std::lock_guard lock(free_mutex_);
    if (const auto found = free_.find(size); found != free_.end()) {
      block = std::move(found->second);
      free_.erase(found);
      free_bytes_ -= size;
    }
  }
  if (block.bytes() == 0) block = Memory(size);
  const auto lent = std::make_shared<Memory>(std::move(block));
  return {lent->data(), [this, lent](std::byte*) { give_back(std::move(*lent)); }};
}

void CudaMemory::give_back(Memory block) const {
  const std::lock_guard lock(free_mutex_);
  const std::size_t size = block.bytes();
  if (free_bytes_ + size > kMostFree) return;
  free_bytes_ += size;
  free_.emplace(size, std::move(block));
}

void CudaMemory::copy(const Elements& from, Number number, std::byte* to) const {
  convert(stream_.get(), strided(from), number, to);
  stream_.wait();
}

void CudaMemory::read(const std::byte* from, long bytes, void* to) const {
  cuda::read(stream_, to, from, static_cast<std::size_t>(bytes));
}

template <class Find> long CudaMemory::first(Find&& find) const {
  const std::lock_guard lock(mutex_);
  constexpr unsigned long long kNowhere = ~0ULL;
  unsigned long long found = kNowhere;
  write(stream_, found_.data(), &found, sizeof(found));
  find(found_.as<unsigned long long>());
  cuda::read(stream_, &found, found_.data(), sizeof(found));
  return found == kNowhere ? kNone : static_cast<long>(found);
}

long CudaMemory::first_unwanted(const Elements& of, const Wanted& wanted) const {
  return first(
      [&](unsigned long long* found) { find_unwanted(stream_.get(), strided(of), wanted, found); });
}

long CudaMemory::first_unwanted_sum(const Elements& of, double low, double high) const {
  const long columns = of.shape.empty() ? 1 : of.shape.back();
  if (of.size() == 0) return kNone;
  return first([&](unsigned long long* found) {
    find_unwanted_sum(stream_.get(), strided(of), columns, low, high, found);
  });
}

}  // namespace steep::cuda
