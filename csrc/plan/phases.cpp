// A walk over the ops with two lists: rows of the current phase, and what waits for its end.
#include "plan/phases.h"

#include <algorithm>

namespace steep {

namespace {

class Cutter {
 public:
  explicit Cutter(const std::vector<int>& root)
      : root_(root), read_(root.size(), -1), written_(root.size(), -1) {}

  void take(const Op& op) {
    if (must_wait(op)) end_phase();
    if (!crosses_samples(op)) return rows_.push_back(op);
    waiting_.push_back(op);
    mark(written_, op.out);
    mark(read_, op.stored);
    for (const int x : op.in) mark(read_, x);
  }

  void end_phase() {
    close(false, rows_);
    close(true, waiting_);
    ++now_;
  }

  std::vector<Op> ops;
  std::vector<PhaseSpan> phases;

 private:
  // Does `op` read what an op that waits writes, or write what one touches?
  bool must_wait(const Op& op) const {
    if (is_alias(op)) return false;
    return std::any_of(op.in.begin(), op.in.end(), [&](int x) { return marked(written_, x); }) ||
           marked(written_, op.stored) || marked(read_, op.out) || marked(read_, op.before) ||
           marked(written_, op.out);
  }

  void mark(std::vector<int>& list, int tensor) const {
    if (tensor >= 0) list[root_[tensor]] = now_;
  }
  bool marked(const std::vector<int>& list, int tensor) const {
    return tensor >= 0 && list[root_[tensor]] == now_;
  }

  void close(bool crosses, std::vector<Op>& list) {
    if (list.empty()) return;
    phases.push_back({crosses, ops.size(), ops.size() + list.size()});
    ops.insert(ops.end(), list.begin(), list.end());
    list.clear();
  }

  const std::vector<int>& root_;
  std::vector<int> read_, written_;  // by root: when an op that waited last did so
  int now_ = 0;                      // ends of phases so far
  std::vector<Op> rows_, waiting_;
};

}  // namespace

std::vector<PhaseSpan> cut_into_phases(std::vector<Op>& ops, const std::vector<int>& root) {
  Cutter cutter(root);
  const auto is_first = [](const Op& op) { return crosses_samples(op) && op.in.empty(); };
  for (const Op& op : ops) {
    if (is_first(op)) cutter.take(op);
  }
  cutter.end_phase();
  for (const Op& op : ops) {
    if (!is_first(op)) cutter.take(op);
  }
  cutter.end_phase();
  ops = std::move(cutter.ops);
  return std::move(cutter.phases);
}

}  // namespace steep
