// Numbers of ops that kernels of a plan read, on the device as long as the plan is there.
#pragma once
#include <map>
#include <type_traits>
#include <vector>

#include "base/sparse_rows.h"
#include "cuda/runtime.h"

namespace steep::cuda {

// As kernels of type T read them, float or double.
template <class T> class Kept {
 public:
  explicit Kept(const Stream& stream) : stream_(stream) {}

  const T* keep(const std::vector<double>& numbers) {
    const std::vector<T> as_read(numbers.begin(), numbers.end());
    return up(as_read.data(), static_cast<long>(as_read.size()));
  }
  // A matrix is the same for all ops that go by it.
  SparseRows lay(const SparseRows& a) {
    if (const auto found = matrices_.find(a.begin); found != matrices_.end()) return found->second;
    SparseRows there{a.rows, a.columns};
    const long entries = a.begin[a.rows];
    there.begin = up(a.begin, a.rows + 1);
    there.column = up(a.column, entries);
    if constexpr (std::is_same_v<T, float>) {
      there.single = up(a.single, entries);
    } else {
      there.value = up(a.value, entries);
    }
    return matrices_.emplace(a.begin, there).first->second;
  }

 private:
  template <class Number> const Number* up(const Number* from, long n) {
    const auto bytes = static_cast<std::size_t>(n) * sizeof(Number);
    memory_.emplace_back(bytes);
    if (n > 0) write(stream_, memory_.back().data(), from, bytes);
    return memory_.back().as<Number>();
  }

  const Stream& stream_;
  std::vector<Memory> memory_;
  std::map<const int64_t*, SparseRows> matrices_;  // by where they lie on the host
};

}  // namespace steep::cuda
