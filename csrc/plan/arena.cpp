// First equal strides share a slot within their phases, then slots go to the lowest free offsets,
// the largest first.
#include "plan/arena.h"

#include <algorithm>
#include <numeric>

namespace steep {

namespace {

constexpr long kLine = 64;
constexpr long kBeyond = 4 * kLine;  // kernels may read kPanel elements beyond the last row

// Buffers at one offset, one after the other.
struct Slot {
  long stride, rows;
  int free_after;               // op
  int first_phase, last_phase;  // first and last that use it
  long offset = 0;
  long bytes() const { return (stride * rows + kLine - 1) / kLine * kLine + kBeyond; }
};

bool meet_in_time(const Slot& a, const Slot& b) {
  return a.first_phase <= b.last_phase && b.first_phase <= a.last_phase;
}

// The lowest offset where `slot` touches none of `placed` that live at the same time.
long lowest_offset(const Slot& slot, const std::vector<const Slot*>& placed) {
  std::vector<const Slot*> others;
  for (const Slot* other : placed) {
    if (meet_in_time(slot, *other)) others.push_back(other);
  }
  std::sort(others.begin(), others.end(),
            [](const Slot* a, const Slot* b) { return a->offset < b->offset; });
  long at = 0;
  for (const Slot* other : others) {
    if (at + slot.bytes() <= other->offset) break;
    at = std::max(at, other->offset + other->bytes());
  }
  return at;
}

}  // namespace

Placement place(const std::vector<Lifetime>& buffers) {
  std::vector<std::size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return buffers[a].first < buffers[b].first; });
  std::vector<Slot> slots;
  std::vector<std::size_t> slot_of(buffers.size());
  for (const std::size_t i : order) {
    const Lifetime& b = buffers[i];
    const auto slot = std::find_if(slots.begin(), slots.end(), [&](const Slot& s) {
      return s.stride == b.stride && s.rows == b.rows && s.last_phase == b.first_phase &&
             s.free_after < b.first;
    });
    slot_of[i] = static_cast<std::size_t>(slot - slots.begin());
    if (slot != slots.end()) {
      slot->free_after = b.last;
      slot->last_phase = b.last_phase;
    } else {
      slots.push_back({b.stride, b.rows, b.last, b.first_phase, b.last_phase});
    }
  }

  std::vector<Slot*> by_size;
  for (Slot& s : slots) by_size.push_back(&s);
  std::stable_sort(by_size.begin(), by_size.end(),
                   [](const Slot* a, const Slot* b) { return a->bytes() > b->bytes(); });
  Placement out{std::vector<long>(buffers.size()), 0};
  std::vector<const Slot*> placed;
  for (Slot* s : by_size) {
    s->offset = lowest_offset(*s, placed);
    placed.push_back(s);
    out.size = std::max(out.size, s->offset + s->bytes());
  }
  for (std::size_t i = 0; i < buffers.size(); ++i) out.offset[i] = slots[slot_of[i]].offset;
  return out;
}

}  // namespace steep
