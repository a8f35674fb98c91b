// The backward rule of every op.
#include "graph/backward.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "graph/fuse.h"
#include "graph/names.h"

namespace steep {

namespace {

// A tensor whose width the plan alone knows.
int planned_tensor(Program& p, long samples) {
  p.tensors.push_back({{}, 0, samples});
  return static_cast<int>(p.tensors.size()) - 1;
}

// The weights of a convolution, made ready for one of its passes.
Op pack_of(Program& p, const Op& conv, bool transposed) {
  Op pack{.kind = Kind::ConvPack, .weight = conv.weight};
  pack.window = conv.window;
  pack.groups = conv.groups;
  pack.transposed = transposed;
  pack.layer = conv.layer;
  pack.out = planned_tensor(p, kAllSamples);
  return pack;
}

Op loss_of(int output, const Objective& objective) {
  return {.kind = Kind::Loss,
          .in = {output},
          .loss = objective.loss,
          .loss_option = objective.option,
          .layer = "loss"};
}

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

  void derive(int output, const Objective& objective) {
    const std::vector<Op> ops = p_.ops;
    for (const Op& op : ops) {
      if (op.recompute > 0) blocks_[op.recompute].push_back(&op);
    }
    Op loss = loss_of(output, objective);
    loss.out = gradient_[output] = new_tensor(output);
    p_.ops.push_back(loss);
    p_.backward = p_.ops.size();
    for (auto op = ops.rbegin(); op != ops.rend(); ++op) {
      if (gradient_[op->out] < 0 || !wanted_[op->out]) continue;
      if (op->recompute > 0 && !recomputed_.contains(op->recompute)) run_again(op->recompute);
      apply(*op);
    }
    drop_unread();
    p_.ops.insert(p_.ops.begin(), first_.begin(), first_.end());
    p_.backward += first_.size();
  }

 private:
  int new_tensor(int like) {
    p_.tensors.push_back(p_.tensors[like]);
    return static_cast<int>(p_.tensors.size()) - 1;
  }

  // Repeats the forward ops of a block into tensors of their own, so that the first ones need not be
  // kept. Statistics of batches stay as they are.
  void run_again(int block) {
    recomputed_.insert(block);
    std::map<int, int> again;
    const auto now = [&](int x) { return again.contains(x) ? again[x] : x; };
    for (const Op* first : blocks_[block]) {
      if (first->kind == Kind::BatchMoments || crosses_samples(first->kind)) continue;
      Op op = *first;
      for (int& x : op.in) x = now(x);
      for (int* x : {&op.out, &op.before}) {
        if (*x < 0) continue;
        if (!again.contains(*x)) again[*x] = new_tensor(*x);
        *x = again[*x];
      }
      p_.ops.push_back(op);
    }
    for (const auto& [first, second] : again) again_[{block, first}] = second;
  }

  // Of a block that is run again, nobody may want the last results.
  void drop_unread() {
    std::set<int> read;
    for (const auto& terms : p_.terms) {
      for (const GradTerm& t : terms) read.insert(t.x);
    }
    for (std::size_t i = p_.ops.size(); i > p_.backward; --i) {
      Op& op = p_.ops[i - 1];
      const bool again = op.recompute > 0;
      if (again && !read.contains(op.out) && !read.contains(op.before)) {
        op.kind = Kind::Alias;  // of itself: dropped below
        op.in = {op.out};
      } else {
        read.insert(op.in.begin(), op.in.end());
      }
    }
    drop_self_aliases(p_);
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

  // Adds `op` as a contribution to the gradient of tensor x: the first writes, later ones add.
  void give(int x, Op op, const std::string& layer) {
    if (!wanted_[x]) return;
    op.layer = layer;
    op.recompute = 0;
    op.accumulate = gradient_[x] >= 0;
    if (!op.accumulate) gradient_[x] = new_tensor(x);
    op.out = gradient_[x];
    p_.ops.push_back(op);
  }

  // dz is the gradient of x as it stands. Later contributions may be added to dz itself: only for
  // ops that have read it by then, in their own place.
  void share(int x, int dz, const std::string& layer) {
    if (wanted_[x] && gradient_[x] < 0) {
      gradient_[x] = dz;
    } else {
      give(x, {.kind = Kind::Affine, .in = {dz}}, layer);
    }
  }

  void term(int parameter, GradTerm::Form form, int x, int dy) {
    if (parameter >= 0) p_.terms[parameter].push_back({form, x, dy});
  }

  void apply(const Op& op);
  int before_activation(const Op& op, int dy);
  void apply_matmul(const Op& op, const Op& seen, int dy);
  void apply_conv(const Op& op, const Op& seen, int dy);
  void apply_batch_norm(const Op& op, const Op& seen, int dy);

  Program& p_;
  const std::size_t forward_;
  std::vector<int> gradient_;  // of each forward tensor, -1 while nothing has reached it
  std::vector<bool> wanted_;   // depends on a parameter
  std::vector<Op> first_;      // to be done before everything else
  std::set<int> recomputed_;   // blocks
  std::map<int, std::vector<const Op*>> blocks_;  // forward ops of each, while they are derived
  std::map<std::pair<int, int>, int> again_;      // (block, tensor) to the tensor of its second run
};

// The gradient before an op's fused activation.
int Backward::before_activation(const Op& op, int dy) {
  if (op.activation < 0) return dy;
  const int dz = new_tensor(dy);
  p_.ops.push_back({.kind = Kind::ActivationGrad,
                    .in = {dy, op.before >= 0 ? op.before : op.out},
                    .out = dz,
                    .activation = op.activation,
                    .alpha = op.alpha,
                    .layer = op.layer});
  return dz;
}

void Backward::apply_matmul(const Op& op, const Op& seen, int dy) {
  const int dz = before_activation(seen, dy);
  term(op.weight, GradTerm::Form::Outer, seen.in[0], dz);
  term(op.bias, GradTerm::Form::Sum, -1, dz);
  give(op.in[0], {.kind = Kind::MatMulGrad, .in = {dz}, .weight = op.weight}, op.layer);
}

void Backward::apply_conv(const Op& op, const Op& seen, int dy) {
  const int dz = before_activation(seen, dy);
  Op grad{.kind = Kind::ConvGradWeight, .in = {seen.in[0], dz}, .weight = op.weight};
  grad.window = op.window;
  grad.groups = op.groups;
  grad.layer = op.layer;
  grad.out = planned_tensor(p_, 1);
  p_.ops.push_back(grad);
  term(op.weight, GradTerm::Form::Partial, -1, grad.out);
  if (op.bias >= 0) {
    Op sums{.kind = Kind::SumPixels, .in = {dz}};
    sums.out = planned_tensor(p_, 1);
    sums.pixels = op.window.out_pixels();
    sums.layer = op.layer;
    p_.ops.push_back(sums);
    term(op.bias, GradTerm::Form::Sum, -1, sums.out);
  }
  if (!wanted_[op.in[0]]) return;
  grad.kind = Kind::ConvGrad;
  grad.in = {dz};
  if (!is_depthwise(op, p_.parameters)) {
    first_.push_back(pack_of(p_, op, true));
    grad.in.push_back(first_.back().out);
  }
  give(op.in[0], grad, op.layer);
}

void Backward::apply_batch_norm(const Op& op, const Op& seen, int dy) {
  const int dz = before_activation(seen, dy);
  if (op.in.size() > 2) share(op.in[2], dz, op.layer);
  Op sums = op;
  sums.activation = -1;
  sums.recompute = 0;
  sums.kind = Kind::BatchNormSums;
  sums.in = {dz, seen.in[0], op.in[1]};
  sums.out = planned_tensor(p_, 1);
  p_.ops.push_back(sums);
  term(op.bias, GradTerm::Form::Sum, -1, sums.out);
  term(op.weight, GradTerm::Form::Sum, -1, sums.out);
  p_.terms[op.weight].back().second_half = true;
  Op means = sums;
  means.kind = Kind::BatchNormGradients;
  means.in = {sums.out, op.in[1]};
  means.out = planned_tensor(p_, kAllSamples);
  Op grad = sums;
  grad.kind = Kind::BatchNormGrad;
  grad.in = {dz, seen.in[0], op.in[1], means.out};
  if (!wanted_[op.in[0]]) return;
  p_.ops.push_back(means);
  give(op.in[0], grad, op.layer);
}

void Backward::apply(const Op& op) {
  const int dy = gradient_[op.out];
  const Op again = seen(op);
  const auto x = [&](int i) { return op.in[i]; };
  const auto stored_in = [&](int i) { return again.in[i]; };
  switch (op.kind) {
    case Kind::MatMul: return apply_matmul(op, again, dy);
    case Kind::Conv: return apply_conv(op, again, dy);
    case Kind::BatchNorm: return apply_batch_norm(op, again, dy);
    case Kind::MaxPool:
    case Kind::AvgPool:
    case Kind::LocalNorm: {
      Op grad = op;
      grad.kind = op.kind == Kind::MaxPool   ? Kind::MaxPoolGrad
                  : op.kind == Kind::AvgPool ? Kind::AvgPoolGrad
                                             : Kind::LocalNormGrad;
      if (op.kind == Kind::MaxPool) grad.in = {stored_in(0), again.out, dy};
      if (op.kind == Kind::AvgPool) grad.in = {dy};
      if (op.kind == Kind::LocalNorm) grad.in = {stored_in(0), dy};
      return give(x(0), grad, op.layer);
    }
    case Kind::AvgPoolGrad: {  // of upsampling; nobody else reads its input
      Op grad = op;
      grad.kind = Kind::AvgPool;
      grad.in = {dy};
      return give(x(0), grad, op.layer);
    }
    case Kind::Pad: {
      Op grad = op;
      grad.kind = Kind::Crop;
      grad.in = {dy};
      return give(x(0), grad, op.layer);
    }
    case Kind::Activation: {
      const int stored = activation_reads_input(op.activation) ? stored_in(0) : again.out;
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
      give(x(0), {.kind = Kind::Multiply, .in = {dy, stored_in(1)}}, op.layer);
      return give(x(1), {.kind = Kind::Multiply, .in = {dy, stored_in(0)}}, op.layer);
    case Kind::Affine:
      return give(x(0), {.kind = Kind::Affine, .in = {dy}, .scale = op.scale, .scales = op.scales},
                  op.layer);
    case Kind::AddRow:
      term(op.weight, GradTerm::Form::Sum, -1, dy);
      return give(x(0), {.kind = Kind::Affine, .in = {dy}}, op.layer);
    case Kind::MultiplyRow:
      term(op.weight, GradTerm::Form::SumProduct, stored_in(0), dy);
      return give(x(0), {.kind = Kind::MultiplyRow, .in = {dy}, .weight = op.weight}, op.layer);
    case Kind::CopyColumns:
      return give(x(0),
                  {.kind = Kind::CopyColumns,
                   .in = {dy},
                   .from = op.to,
                   .to = op.from,
                   .columns = op.columns,
                   .pixels = op.pixels},
                  op.layer);
    case Kind::Softmax:
      return give(x(0), {.kind = Kind::SoftmaxGrad, .in = {dy, again.out}}, op.layer);
    case Kind::Dropout: {
      Op grad = op;
      grad.in = {dy};
      return give(x(0), grad, op.layer);
    }
    case Kind::Alias: return give(x(0), {.kind = Kind::Affine, .in = {dy}}, op.layer);
    default: return;  // inputs end the walk
  }
}

// Puts what backends do in steps in place of one op: batch normalisation by the statistics of the
// batch or the running ones, convolutions with weights made ready for them.
void lower(Program& p, bool training) {
  std::vector<Op> ops, first;
  const auto make = [&](Op from, Kind kind, std::vector<int> in, long samples) {
    from.kind = kind;
    from.in = std::move(in);
    from.out = planned_tensor(p, samples);
    return from;
  };
  for (Op& op : p.ops) {
    if (op.kind == Kind::Conv && !is_depthwise(op, p.parameters)) {
      first.push_back(pack_of(p, op, false));
      op.in.push_back(first.back().out);
    }
    if (op.kind == Kind::BatchNorm && training) {
      const Op moments = make(op, Kind::BatchMoments, {op.in[0]}, 1);
      const Op all = make(op, Kind::BatchStatistics, {moments.out}, kAllSamples);
      ops.insert(ops.end(), {moments, all});
      op.in.push_back(all.out);
    } else if (op.kind == Kind::BatchNorm) {
      first.push_back(make(op, Kind::FrozenStatistics, {}, kAllSamples));
      op.in.push_back(first.back().out);
    }
    ops.push_back(op);
  }
  p.ops = std::move(first);
  p.ops.insert(p.ops.end(), ops.begin(), ops.end());
}

Program forward_of(const Graph& graph) {
  return {graph.tensors(), graph.ops(), {}, graph.parameters(), 0, graph.inputs(), graph.outputs()};
}

void check_one_output(const Graph& graph) {
  if (graph.outputs().size() != 1) {
    refuse("a loss needs a network with one output, this one has ", graph.outputs().size());
  }
}

}  // namespace

Program inference(const Graph& graph) {
  if (graph.outputs().empty()) refuse("a network needs at least one output");
  Program p = forward_of(graph);
  // Inverted dropout is the identity at test time; the classic form scales by what was kept.
  for (Op& op : p.ops) {
    if (op.kind != Kind::Dropout) continue;
    op.kind = op.scale_at_test ? Kind::Affine : Kind::Alias;
    op.scale = 1 - op.rate;
  }
  lower(p, false);
  fuse_forward(p, graph.outputs());
  for (Op& op : p.ops) op.before = -1;  // nobody will ask for f'
  p.backward = p.ops.size();
  p.terms.resize(graph.parameters().size());
  return p;
}

Program evaluation(const Graph& graph, const Objective& objective) {
  check_one_output(graph);
  Program p = inference(graph);
  p.ops.push_back(loss_of(graph.outputs()[0], objective));
  p.backward = p.ops.size();
  return p;
}

Program training(const Graph& graph, const Objective& objective) {
  check_one_output(graph);
  Program p = forward_of(graph);
  for (Op& op : p.ops) {
    if (op.kind == Kind::Dropout) op.scale = op.scale_at_test ? 1.0 : 1.0 / (1.0 - op.rate);
  }
  p.terms.resize(graph.parameters().size());
  lower(p, true);
  fuse_forward(p, graph.outputs());
  Backward(p).derive(graph.outputs()[0], objective);
  fuse_backward(p);
  return p;
}

}  // namespace steep
