// The backward rule of every op.
#include "graph/backward.h"

#include <algorithm>

#include "base/error.h"
#include "graph/fuse.h"
#include "graph/names.h"

namespace steep {

namespace {

// Walks the forward ops from last to first; each gives its inputs' gradients as ops.
class Backward {
 public:
  explicit Backward(Program& program)
      : p_(program), forward_(program.tensors.size()), gradient_(forward_, -1),
        wanted_(forward_, false) {
    for (const Op& op : p_.ops) {
      bool wanted = op.weight >= 0 || op.bias >= 0 || wanted_[op.out];
      for (const int x : op.in) wanted = wanted || wanted_[x];
      wanted_[op.out] = wanted;
      if (op.before >= 0) wanted_[op.before] = wanted;
    }
  }

  void derive(int output) {
    const std::vector<Op> ops = p_.ops;
    Op loss{.kind = Kind::Loss, .in = {output}, .layer = "loss"};
    loss.out = gradient_[output] = new_tensor(output);
    p_.ops.push_back(loss);
    p_.backward = p_.ops.size();
    for (auto op = ops.rbegin(); op != ops.rend(); ++op) {
      if (gradient_[op->out] >= 0 && wanted_[op->out]) apply(*op);
    }
  }

 private:
  int new_tensor(int like) {
    p_.tensors.push_back(p_.tensors[like]);
    return static_cast<int>(p_.tensors.size()) - 1;
  }

  // Adds `op` as a contribution to the gradient of tensor x: the first writes, later ones add.
  void give(int x, Op op, const std::string& layer) {
    if (!wanted_[x]) return;
    op.layer = layer;
    op.accumulate = gradient_[x] >= 0;
    if (!op.accumulate) gradient_[x] = new_tensor(x);
    op.out = gradient_[x];
    p_.ops.push_back(op);
  }

  void term(int parameter, GradTerm::Form form, int x, int dy) {
    if (parameter >= 0) p_.terms[parameter].push_back({form, x, dy});
  }

  void apply(const Op& op);
  void apply_matmul(const Op& op, int dy);

  Program& p_;
  const std::size_t forward_;
  std::vector<int> gradient_;  // of each forward tensor, -1 while nothing has reached it
  std::vector<bool> wanted_;   // depends on a parameter
};

void Backward::apply_matmul(const Op& op, int dy) {
  int dz = dy;
  if (op.activation >= 0) {
    const int stored = op.before >= 0 ? op.before : op.out;
    dz = new_tensor(op.out);
    p_.ops.push_back({.kind = Kind::ActivationGrad,
                      .in = {dy, stored},
                      .out = dz,
                      .activation = op.activation,
                      .alpha = op.alpha,
                      .layer = op.layer});
  }
  term(op.weight, GradTerm::Form::Outer, op.in[0], dz);
  term(op.bias, GradTerm::Form::Sum, -1, dz);
  give(op.in[0], {.kind = Kind::MatMulGrad, .in = {dz}, .weight = op.weight}, op.layer);
}

void Backward::apply(const Op& op) {
  const int dy = gradient_[op.out];
  const auto x = [&](int i) { return op.in[i]; };
  switch (op.kind) {
    case Kind::MatMul: return apply_matmul(op, dy);
    case Kind::Activation: {
      const int stored = activation_reads_input(op.activation) ? x(0) : op.out;
      return give(x(0),
                  {.kind = Kind::ActivationGrad,
                   .in = {dy, stored},
                   .activation = op.activation,
                   .alpha = op.alpha},
                  op.layer);
    }
    case Kind::Add:
    case Kind::Subtract:
      give(x(0), {.kind = Kind::Affine, .in = {dy}}, op.layer);
      return give(x(1),
                  {.kind = Kind::Affine, .in = {dy}, .scale = op.kind == Kind::Add ? 1.0 : -1.0},
                  op.layer);
    case Kind::Multiply:
      give(x(0), {.kind = Kind::Multiply, .in = {dy, x(1)}}, op.layer);
      return give(x(1), {.kind = Kind::Multiply, .in = {dy, x(0)}}, op.layer);
    case Kind::Affine:
      return give(x(0), {.kind = Kind::Affine, .in = {dy}, .scale = op.scale}, op.layer);
    case Kind::AddRow:
      term(op.weight, GradTerm::Form::Sum, -1, dy);
      return give(x(0), {.kind = Kind::Affine, .in = {dy}}, op.layer);
    case Kind::MultiplyRow:
      term(op.weight, GradTerm::Form::SumProduct, x(0), dy);
      return give(x(0), {.kind = Kind::MultiplyRow, .in = {dy}, .weight = op.weight}, op.layer);
    case Kind::CopyColumns:
      return give(x(0),
                  {.kind = Kind::CopyColumns,
                   .in = {dy},
                   .from = op.to,
                   .to = op.from,
                   .columns = op.columns},
                  op.layer);
    case Kind::Softmax:
      return give(x(0), {.kind = Kind::SoftmaxGrad, .in = {dy, op.out}}, op.layer);
    case Kind::Dropout: {
      Op grad = op;
      grad.in = {dy};
      return give(x(0), grad, op.layer);
    }
    case Kind::Alias: return give(x(0), {.kind = Kind::Affine, .in = {dy}}, op.layer);
    default: return;  // inputs end the walk
  }
}

void check_one_output(const Graph& graph) {
  if (graph.outputs().size() != 1) {
    refuse("a loss needs a network with one output, this one has ", graph.outputs().size());
  }
}

}  // namespace

Program inference(const Graph& graph) {
  if (graph.outputs().empty()) refuse("a network needs at least one output");
  Program p{graph.tensors(), graph.ops(), {}, 0};
  // Inverted dropout is the identity at test time; the classic form scales by what was kept.
  for (Op& op : p.ops) {
    if (op.kind != Kind::Dropout) continue;
    op.kind = op.scale_at_test ? Kind::Affine : Kind::Alias;
    op.scale = 1 - op.rate;
  }
  fuse_forward(p, graph.outputs());
  for (Op& op : p.ops) op.before = -1;  // nobody will ask for f'
  p.backward = p.ops.size();
  p.terms.resize(graph.parameters().size());
  return p;
}

Program evaluation(const Graph& graph) {
  check_one_output(graph);
  Program p = inference(graph);
  p.ops.push_back({.kind = Kind::Loss, .in = {graph.outputs()[0]}, .layer = "loss"});
  p.backward = p.ops.size();
  return p;
}

Program training(const Graph& graph) {
  check_one_output(graph);
  Program p{graph.tensors(), graph.ops(), {}, 0};
  for (Op& op : p.ops) {
    if (op.kind == Kind::Dropout) op.scale = op.scale_at_test ? 1.0 : 1.0 / (1.0 - op.rate);
  }
  p.terms.resize(graph.parameters().size());
  fuse_forward(p, graph.outputs());
  Backward(p).derive(graph.outputs()[0]);
  fuse_backward(p);
  return p;
}

}  // namespace steep
