// Lists that kernels read: arrays laid one after the other on the host, then all of them on the device.
#pragma once
#include <vector>

#include "cuda/runtime.h"

namespace steep::cuda {

class Arrays {
 public:
  template <class T> long add(const std::vector<T>& values) {
    const long at = static_cast<long>(bytes_.size());
    const auto* from = reinterpret_cast<const std::byte*>(values.data());
    bytes_.insert(bytes_.end(), from, from + values.size() * sizeof(T));
    bytes_.resize((bytes_.size() + kAlign - 1) / kAlign * kAlign);
    return at;
  }
  Memory up(const Stream& stream) const {
    Memory memory(bytes_.size());
    write(stream, memory.data(), bytes_.data(), bytes_.size());
    return memory;
  }

 private:
  static constexpr std::size_t kAlign = 256;
  std::vector<std::byte> bytes_;
};

}  // namespace steep::cuda
