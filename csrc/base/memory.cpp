// Allocates and frees Block: 64-byte lines below 4 MiB, 2 MiB pages with MADV_HUGEPAGE above.
#include "base/memory.h"

#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace steep {

namespace {
constexpr std::size_t kLine = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
}  // namespace

namespace {
std::size_t alignment_of(std::size_t bytes) { return bytes >= 2 * kHugePage ? kHugePage : kLine; }
}  // namespace

std::size_t Block::rounded(std::size_t bytes) {
  const std::size_t alignment = alignment_of(bytes);
  return (bytes + alignment - 1) / alignment * alignment;
}

Block::Block(std::size_t bytes) {
  const std::size_t size = rounded(bytes), alignment = alignment_of(bytes);
  if (size < bytes) throw std::bad_alloc();
  bytes_ = size;
  if (size == 0) return;
  void* p = std::aligned_alloc(alignment, size);
  if (p == nullptr) throw std::bad_alloc();
#if defined(__linux__)
  if (alignment == kHugePage) madvise(p, size, MADV_HUGEPAGE);  // advice: refusal costs speed only
#endif
  std::memset(p, 0, size);
  data_.reset(static_cast<std::byte*>(p));
}

void Block::Free::operator()(std::byte* p) const { std::free(p); }

}  // namespace steep
