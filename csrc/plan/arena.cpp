// First fit over the buffers in order of first use.
#include "plan/arena.h"

#include <algorithm>
#include <numeric>

namespace steep {

namespace {

constexpr long kLine = 64;

struct Slot {
  long stride, offset;
  int free_after;
};

}  // namespace

Placement place(const std::vector<Lifetime>& buffers, long rows) {
  std::vector<std::size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return buffers[a].first < buffers[b].first; });
  Placement out{std::vector<long>(buffers.size()), 0};
  std::vector<Slot> slots;
  for (const std::size_t i : order) {
    const Lifetime& b = buffers[i];
    const auto slot = std::find_if(slots.begin(), slots.end(), [&](const Slot& s) {
      return s.stride == b.stride && s.free_after < b.first;
    });
    if (slot != slots.end()) {
      slot->free_after = b.last;
      out.offset[i] = slot->offset;
      continue;
    }
    out.offset[i] = out.size;
    slots.push_back({b.stride, out.size, b.last});
    out.size += (b.stride * rows + kLine - 1) / kLine * kLine + kLine;
  }
  return out;
}

}  // namespace steep
