// The walk over the forward ops from last to first: each gives its inputs' gradients as ops. What it
// gives is said with the op.
#include <algorithm>
#include <map>
#include <set>

#include "graph/program.h"
#include "ops/steps.h"

namespace steep {

namespace {

// Does nothing of its result's gradient reach its inputs?
bool stops(const Op& op) {
  return std::visit([]<class A>(const A&) { return requires { A::kStops; }; }, op.what);
}

class Backward : public Gradients {
 public:
  explicit Backward(Program& program)
      : p_(program), forward_(program.tensors.size()), gradient_(forward_, -1),
        wanted_(forward_, false) {
    for (const Op& op : p_.ops) {
      bool wanted = wanted_[op.out];
      for (const int p : op.parameters) wanted = wanted || (p >= 0 && p_.trains[p]);
      for (const int x : op.in) wanted = wanted || wanted_[x];
      wanted = wanted && !stops(op);
      wanted_[op.out] = wanted;
      if (op.before >= 0) wanted_[op.before] = wanted;
    }
  }

  void derive() {
    const std::vector<Op> ops = p_.ops;
    for (const Op& op : ops) {
      if (op.recompute > 0) blocks_[op.recompute].push_back(&op);
    }
    for (std::size_t t = 0; t < p_.losses.size(); ++t) {
      p_.ops.push_back(loss_of(p_.losses[t], static_cast<int>(t)));
      seed(p_.ops.back());
    }
    p_.backward = p_.ops.size();
    add_seeds();
    for (auto op = ops.rbegin(); op != ops.rend(); ++op) {
      if (gradient_[op->out] < 0 || !wanted_[op->out]) continue;
      if (op->recompute > 0 && !recomputed_.contains(op->recompute)) run_again(op->recompute);
      apply(*op);
    }
    drop_unread();
    p_.ops.insert(p_.ops.begin(), first_.begin(), first_.end());
    p_.backward += first_.size();
  }

  int result() const override { return gradient_[op_->out]; }
  bool wanted(std::size_t in) const override { return wanted_[op_->in[in]]; }
  const Shape& shape(int tensor) const override { return p_.tensors[tensor].shape; }

  int before(const Fused& f) override {
    if (!f.any()) return result();
    const int dz = new_tensor(result());
    p_.ops.push_back({.what = ops::ActivationGrad{f},
                      .in = {result(), seen_.before >= 0 ? seen_.before : seen_.out},
                      .out = dz,
                      .layer = op_->layer});
    return dz;
  }

  // The first contribution writes, later ones add.
  void give(std::size_t in, Op op) override {
    const int x = op_->in[in];
    if (!wanted_[x]) return;
    op.layer = op_->layer;
    op.accumulate = gradient_[x] >= 0;
    if (!op.accumulate) gradient_[x] = new_tensor(x);
    op.out = gradient_[x];
    p_.ops.push_back(std::move(op));
  }

  // Of another shape it has a name of its own.
  void share(std::size_t in, int dz) override {
    const int x = op_->in[in];
    if (!wanted_[x] || gradient_[x] >= 0) return give(in, {.what = ops::Affine{}, .in = {dz}});
    if (shape(x) == shape(dz)) {
      gradient_[x] = dz;
    } else {
      give(in, {.what = ops::Reshape{shape(x)}, .in = {dz}});
    }
  }

  void term(int parameter, GradTerm term) override {
    if (parameter >= 0 && p_.trains[parameter]) p_.terms[parameter].push_back(term);
  }

  int step(Op op, Tensor result) override { return add(p_.ops, std::move(op), std::move(result)); }
  int first(Op op, Tensor result) override { return add(first_, std::move(op), std::move(result)); }

 private:
  int new_tensor(int like) { return p_.new_tensor(Tensor(p_.tensors[like])); }

  // The gradient that a loss begins with; that of another loss of the same tensor is added to it.
  void seed(Op& loss) {
    const int x = loss.in[0];
    if (!wanted_[x]) return;
    loss.out = new_tensor(x);
    if (gradient_[x] < 0) {
      gradient_[x] = loss.out;
    } else {
      seeds_.push_back({.what = ops::Affine{},
                        .in = {loss.out},
                        .out = gradient_[x],
                        .accumulate = true,
                        .layer = loss.layer});
    }
  }
  void add_seeds() { p_.ops.insert(p_.ops.end(), seeds_.begin(), seeds_.end()); }

  int add(std::vector<Op>& to, Op op, Tensor result) {
    op.layer = op_->layer;
    op.out = p_.new_tensor(std::move(result));
    to.push_back(std::move(op));
    return to.back().out;
  }

  void apply(const Op& op) {
    op_ = &op;
    seen_ = seen(op);
    std::visit(
        [&](const auto& a) {
          if constexpr (requires { a.gradient(*this, seen_); }) a.gradient(*this, seen_);
        },
        op.what);
  }

  // Repeats the forward ops of a block into tensors of their own, so that the first ones need not be
  // kept. Statistics of batches stay as they are.
  void run_again(int block) {
    recomputed_.insert(block);
    std::map<int, int> again;
    const auto now = [&](int x) { return again.contains(x) ? again[x] : x; };
    const auto once = [](const Op& op) {
      return std::visit([]<class A>(const A&) { return requires { A::kOnce; }; }, op.what);
    };
    for (const Op* first : blocks_[block]) {
      if (once(*first) || crosses_samples(*first)) continue;
      Op op = *first;
      for (int& x : op.in) x = now(x);
      for (int* x : {&op.out, &op.before}) {
        if (*x < 0) continue;
        if (!again.contains(*x)) again[*x] = new_tensor(*x);
        *x = again[*x];
      }
      p_.ops.push_back(op);
    }
    for (const auto& [first, second] : again) {
      again_[{block, first}] = second;
      p_.again.emplace_back(first, second);
    }
  }

  // Nobody may want the last results of a block that is run again, nor the steps towards the gradient of
  // a parameter that is not trained.
  void drop_unread() {
    std::set<int> read;
    for (const auto& terms : p_.terms) {
      for (const GradTerm& t : terms) read.insert({t.x, t.dy, t.lengths});
    }
    const auto unread = [&](int x) { return x < 0 || !read.contains(x); };
    std::vector<bool> dead(p_.ops.size(), false);
    for (std::size_t i = p_.ops.size(); i > p_.backward; --i) {
      const Op& op = p_.ops[i - 1];
      dead[i - 1] = unread(op.out) && unread(op.before);
      if (dead[i - 1]) continue;
      read.insert(op.in.begin(), op.in.end());
      read.insert(op.stored);
    }
    p_.remove(dead);
  }

  // The op as its gradient should see it: of a recomputed block, its second run.
  Op seen(Op op) const {
    if (op.recompute == 0) return op;
    const auto now = [&](int x) {
      const auto at = again_.find({op.recompute, x});
      return at == again_.end() ? x : at->second;
    };
    for (int& x : op.in) x = now(x);
    op.out = now(op.out);
    if (op.before >= 0) op.before = now(op.before);
    return op;
  }

  Program& p_;
  const std::size_t forward_;
  std::vector<int> gradient_;  // of each forward tensor, -1 while nothing has reached it
  std::vector<bool> wanted_;   // depends on a parameter
  std::vector<Op> first_;      // to be done before everything else
  std::vector<Op> seeds_;      // of tensors that have several losses
  std::set<int> recomputed_;   // blocks
  std::map<int, std::vector<const Op*>> blocks_;  // forward ops of each, while they are derived
  std::map<std::pair<int, int>, int> again_;      // (block, tensor) to the tensor of its second run
  const Op* op_ = nullptr;                        // whose gradient is derived, and how it sees it
  Op seen_{};
};

}  // namespace

void derive_gradients(Program& program) { Backward(program).derive(); }

}  // namespace steep
