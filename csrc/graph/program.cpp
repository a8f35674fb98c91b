// From a graph to the programs of prediction, evaluation and training, pass by pass.
#include "graph/program.h"

#include "graph/fuse.h"
#include "ops/steps.h"

namespace steep {

void Program::remove(const std::vector<bool>& dead) {
  std::size_t kept = 0, kept_backward = 0;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (dead[i]) continue;
    if (i < backward) ++kept_backward;
    if (kept != i) ops[kept] = std::move(ops[i]);
    ++kept;
  }
  ops.resize(kept);
  backward = kept_backward;
}

namespace {

// Collects the steps that ops want around themselves.
class Lowered : public Lowering {
 public:
  Lowered(Program& program, bool training) : p_(program), training_(training) {}

  bool training() const override { return training_; }
  int step(Op op, Tensor result) override {
    op.recompute = block_;
    return add(ops_, std::move(op), std::move(result));
  }
  int first(Op op, Tensor result) override { return add(first_, std::move(op), std::move(result)); }

  void run() {
    for (Op& op : p_.ops) {
      layer_ = op.layer;
      block_ = op.recompute;
      const ops::Attributes what = op.what;  // lower() may replace it
      std::visit(
          [&](const auto& a) {
            if constexpr (requires { a.lower(*this, op); }) a.lower(*this, op);
          },
          what);
      ops_.push_back(op);
    }
    p_.ops = std::move(first_);
    p_.ops.insert(p_.ops.end(), ops_.begin(), ops_.end());
  }

 private:
  int add(std::vector<Op>& to, Op op, Tensor result) {
    op.layer = layer_;
    op.out = p_.new_tensor(std::move(result));
    to.push_back(std::move(op));
    return to.back().out;
  }

  Program& p_;
  const bool training_;
  std::vector<Op> ops_, first_;
  std::string layer_;
  int block_ = 0;
};

Program forward_of(const Graph& graph) {
  if (graph.outputs().empty()) refuse("a network needs at least one output");
  Program p{graph.tensors(), graph.ops(),    {}, graph.parameters(), 0,
            graph.inputs(),  graph.outputs()};
  p.terms.resize(graph.parameters().size());
  return p;
}

void check_one_output(const Graph& graph) {
  if (graph.outputs().size() != 1) {
    refuse("a loss needs a network with one output, this one has ", graph.outputs().size());
  }
}

}  // namespace

void lower(Program& program, bool training) { Lowered(program, training).run(); }

Program inference(const Graph& graph) {
  Program p = forward_of(graph);
  lower(p, false);
  fuse_forward(p);
  for (Op& op : p.ops) op.before = -1;  // nobody will ask for f'
  p.backward = p.ops.size();
  return p;
}

Program evaluation(const Graph& graph, const Objective& objective) {
  check_one_output(graph);
  Program p = inference(graph);
  p.ops.push_back(
      {.what = ops::Loss{objective.loss, objective.option}, .in = {p.outputs[0]}, .layer = "loss"});
  p.backward = p.ops.size();
  return p;
}

Program training(const Graph& graph, const Objective& objective) {
  check_one_output(graph);
  Program p = forward_of(graph);
  lower(p, true);
  fuse_forward(p);
  derive_gradients(p, objective);
  fuse_backward(p);
  return p;
}

}  // namespace steep
