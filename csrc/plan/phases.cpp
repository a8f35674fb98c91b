// A walk over the ops with two lists: rows of the current phase, and what waits for its end.
#include "plan/phases.h"

#include <algorithm>

namespace steep {

namespace {

class Cutter {
 public:
  explicit Cutter(const std::vector<int>& root) : root_(root) {}

  void take(const Op& op) {
    const bool waits = crosses_samples(op.kind);
    if (std::any_of(waiting_.begin(), waiting_.end(),
                    [&](const Op& other) { return must_follow(op, other); })) {
      end_phase();
    }
    (waits ? waiting_ : rows_).push_back(op);
  }

  void end_phase() {
    close(false, rows_);
    close(true, waiting_);
  }

  std::vector<Op> ops;
  std::vector<PhaseSpan> phases;

 private:
  bool same(int a, int b) const { return a >= 0 && b >= 0 && root_[a] == root_[b]; }

  // Does `op` read what `other` writes, or write what it touches?
  bool must_follow(const Op& op, const Op& other) const {
    const auto reads = [&](const Op& o, int tensor) {
      return same(o.stored, tensor) ||
             std::any_of(o.in.begin(), o.in.end(), [&](int x) { return same(x, tensor); });
    };
    if (op.kind == Kind::Alias) return false;
    return reads(op, other.out) || reads(other, op.out) || reads(other, op.before) ||
           same(op.out, other.out);
  }

  void close(bool crosses, std::vector<Op>& list) {
    if (list.empty()) return;
    phases.push_back({crosses, ops.size(), ops.size() + list.size()});
    ops.insert(ops.end(), list.begin(), list.end());
    list.clear();
  }

  const std::vector<int>& root_;
  std::vector<Op> rows_, waiting_;
};

}  // namespace

std::vector<PhaseSpan> cut_into_phases(std::vector<Op>& ops, const std::vector<int>& root) {
  Cutter cutter(root);
  const auto is_first = [](const Op& op) { return crosses_samples(op.kind) && op.in.empty(); };
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
