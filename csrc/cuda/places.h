// Where the tensors of a schedule lie in the device's memory: in one block, at the schedule's offsets; or, in a build
// that a sanitizer looks at, each in memory of its own that ends with its last element and is NaN until it is written.
#pragma once
#include <algorithm>
#include <vector>

#include "cuda/runtime.h"
#include "graph/shared.h"
#include "plan/schedule.h"

namespace steep::cuda {

#if defined(STEEP_CUDA_APART)
constexpr bool kApart = true;
#else
constexpr bool kApart = false;
#endif

// By tensor, null where nobody needs it; what lies apart is kept in `apart`.
template <class T>
std::vector<T*> places(const Program& program, const Schedule& schedule, const Memory& block,
                       std::vector<Memory>& apart) {
  std::vector<T*> found;
  for (const long offset : schedule.offset) {
    found.push_back(offset < 0 ? nullptr : block.as<T>(offset));
  }
  if (!kApart) return found;
  const auto n = found.size();
  const std::vector<int> roots = steep::roots(program);
  std::vector<long> bytes(n, 0);
  for (std::size_t i = 0; i < n; ++i) {  // aliases may have other rows
    const Tensor& t = program.tensors[i];
    const long last = (schedule.rows[i] - 1) * schedule.stride[i] + t.width;
    long& most = bytes[static_cast<std::size_t>(roots[i])];
    most = std::max(most, last * bytes_of(t.format));
  }
  std::vector<std::size_t> index(n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto root = static_cast<std::size_t>(roots[i]);
    if (root != i || found[i] == nullptr) continue;
    index[i] = apart.size();
    apart.emplace_back(static_cast<std::size_t>(bytes[i]));
    check(cudaMemset(apart.back().data(), 0xff, apart.back().bytes()), "memory");
  }
  check(cudaDeviceSynchronize(), "memory");
  for (std::size_t i = 0; i < n; ++i) {
    const auto root = static_cast<std::size_t>(roots[i]);
    if (found[root] != nullptr) found[i] = apart[index[root]].template as<T>();
  }
  return found;
}

}  // namespace steep::cuda
