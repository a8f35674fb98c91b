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
  Lowered(Program& program, const Objective* objective) : p_(program), objective_(objective) {}

  bool training() const override { return objective_ != nullptr; }
  bool frozen(int parameter) const override { return objective_->frozen[parameter]; }
  bool moves(int parameter) const override { return objective_->moves[parameter]; }
  int besides(Tensor tensor) override { return p_.new_tensor(std::move(tensor)); }
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
  const Objective* const objective_;
  std::vector<Op> ops_, first_;
  std::string layer_;
  int block_ = 0;
};

// The ops of a graph that some of its tensors are to be had by.
Program forward_of(const Graph& graph, std::vector<int> outputs) {
  Program p{.tensors = graph.tensors(),
            .ops = graph.ops(),
            .terms = {},
            .parameters = graph.parameters(),
            .of_graph = graph.tensors().size(),
            .inputs = graph.inputs(),
            .outputs = std::move(outputs)};
  p.terms.resize(graph.parameters().size());
  return p;
}

std::vector<int> tensors_of(const Graph& graph, const std::vector<LossTerm>& terms) {
  std::vector<int> tensors;
  for (const LossTerm& term : terms) {
    graph.tensor(term.tensor);
    tensors.push_back(term.tensor);
    if (term.judged >= 0 && graph.tensor(term.judged).width != graph.tensor(term.truth).width) {
      refuse("loss \"", term.name, "\": judges ", graph.tensor(term.judged).width,
             " outputs by targets of ", graph.tensor(term.truth).width);
    }
    if (term.judged >= 0) tensors.insert(tensors.end(), {term.judged, term.truth});
  }
  return tensors;
}

Program after_training(const Graph& graph, std::vector<int> outputs) {
  Program p = forward_of(graph, std::move(outputs));
  lower(p, nullptr);
  fuse_forward(p);
  for (Op& op : p.ops) op.before = -1;  // nobody will ask for f'
  p.backward = p.ops.size();
  return p;
}

}  // namespace

Op loss_of(const LossTerm& term, int number) {
  const ops::Losing part{number, term.weights};
  Op op{.what = ops::MeanLoss{part, term.option}, .in = {term.tensor}, .layer = "loss"};
  if (term.judged >= 0) op.in.insert(op.in.end(), {term.judged, term.truth});
  if (term.loss >= 0) op.what = ops::Loss{part, term.loss, term.option, term.target};
  return op;
}

void lower(Program& program, const Objective* objective) { Lowered(program, objective).run(); }

Program inference(const Graph& graph) {
  if (graph.outputs().empty()) refuse("a network needs at least one output");
  return after_training(graph, graph.outputs());
}

Program evaluation(const Graph& graph, const std::vector<LossTerm>& terms) {
  Program p = after_training(graph, tensors_of(graph, terms));
  for (std::size_t t = 0; t < terms.size(); ++t) {
    p.ops.push_back(loss_of(terms[t], static_cast<int>(t)));
  }
  p.losses = terms;
  p.backward = p.ops.size();
  return p;
}

Program training(const Graph& graph, const Objective& objective) {
  if (objective.terms.empty()) refuse("an objective needs a loss");
  if (objective.terms.size() > kMostTerms) {
    refuse("an objective has at most ", kMostTerms, " losses, got ", objective.terms.size());
  }
  Program p = forward_of(graph, tensors_of(graph, objective.terms));
  p.losses = objective.terms;
  for (std::size_t i = 0; i < p.parameters.size(); ++i) {
    p.trains.push_back(p.parameters[i].trained && objective.moves[i] && !objective.frozen[i]);
  }
  lower(p, &objective);
  fuse_forward(p);
  derive_gradients(p);
  fuse_backward(p);
  return p;
}

}  // namespace steep
