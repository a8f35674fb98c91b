// First equal strides share a slot within their phases, then slots go to the lowest free offsets,
// the largest first.
#include "plan/arena.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <queue>
#include <set>
#include <tuple>

namespace steep {

namespace {

constexpr long kLine = 64;
constexpr long kBeyond = 4 * kLine;  // kernels may read kPanel elements beyond the last row

// Buffers at one offset, one after the other.
struct Slot {
  long stride, rows;
  int first_phase, last_phase;  // first and last that use it
  long offset = 0;
  long bytes() const { return (stride * rows + kLine - 1) / kLine * kLine + kBeyond; }
};

// Slots by offset, no two that live at the same time one over the other. They come the largest
// first.
class Offsets {
 public:
  // The lowest offset that is free as long as `slot` lives.
  long place(const Slot& slot) {
    // Below the end of one of the same size and lifetime there was no room for that one.
    long& least = least_[{slot.bytes(), slot.first_phase, slot.last_phase}];
    long at = least;
    for (auto other = first_from(at); other != placed_.end(); ++other) {
      if (slot.first_phase > other->last_phase || other->first_phase > slot.last_phase) continue;
      if (at + slot.bytes() <= other->offset) break;
      at = std::max(at, other->end);
    }
    least = at + slot.bytes();
    placed_.insert(first_from(at), {at, least, slot.first_phase, slot.last_phase});
    return at;
  }

 private:
  struct Placed {  // what the walk above reads, side by side
    long offset, end;
    int first_phase, last_phase;
  };
  std::vector<Placed>::iterator first_from(long offset) {
    return std::lower_bound(placed_.begin(), placed_.end(), offset,
                            [](const Placed& p, long at) { return p.offset < at; });
  }
  std::vector<Placed> placed_;
  std::map<std::tuple<long, int, int>, long> least_;  // by bytes, first and last phase
};

// Which slots another buffer may follow in, found without a look at all of them. Buffers ask in the
// order of their first ops, so that a slot once free stays so until it is taken.
class FreeSlots {
 public:
  using Key = std::tuple<long, long, int>;  // stride, rows, phase

  void add(const Key& key, int free_after, std::size_t slot) {
    lists_[key].busy.push({free_after, slot});
  }
  // Takes the first slot that is free before op `first`; -1 where there is none.
  long take(const Key& key, int first) {
    const auto at = lists_.find(key);
    if (at == lists_.end()) return -1;
    auto& [busy, free] = at->second;
    for (; !busy.empty() && busy.top().first < first; busy.pop()) free.insert(busy.top().second);
    if (free.empty()) return -1;
    return static_cast<long>(free.extract(free.begin()).value());
  }

 private:
  using Busy = std::pair<int, std::size_t>;  // free after this op, slot
  struct List {
    std::priority_queue<Busy, std::vector<Busy>, std::greater<>> busy;
    std::set<std::size_t> free;
  };
  std::map<Key, List> lists_;
};

}  // namespace

Placement place(const std::vector<Lifetime>& buffers) {
  std::vector<std::size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return buffers[a].first < buffers[b].first; });
  std::vector<Slot> slots;
  std::vector<std::size_t> slot_of(buffers.size());
  FreeSlots free;
  for (const std::size_t i : order) {
    const Lifetime& b = buffers[i];
    const long slot = free.take({b.stride, b.rows, b.first_phase}, b.first);
    slot_of[i] = slot < 0 ? slots.size() : static_cast<std::size_t>(slot);
    if (slot < 0) {
      slots.push_back({b.stride, b.rows, b.first_phase, b.last_phase});
    } else {
      slots[slot].last_phase = b.last_phase;
    }
    free.add({b.stride, b.rows, b.last_phase}, b.last, slot_of[i]);
  }

  std::vector<Slot*> by_size;
  for (Slot& s : slots) by_size.push_back(&s);
  std::stable_sort(by_size.begin(), by_size.end(),
                   [](const Slot* a, const Slot* b) { return a->bytes() > b->bytes(); });
  Placement out{std::vector<long>(buffers.size()), 0};
  Offsets offsets;
  for (Slot* s : by_size) {
    s->offset = offsets.place(*s);
    out.size = std::max(out.size, s->offset + s->bytes());
  }
  for (std::size_t i = 0; i < buffers.size(); ++i) out.offset[i] = slots[slot_of[i]].offset;
  return out;
}

}  // namespace steep
