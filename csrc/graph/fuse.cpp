// The fusion rules; each says who may be joined with whom.
#include "graph/fuse.h"

#include <algorithm>

#include "ops/names.h"

namespace steep {

namespace {

// Does an op of the backward pass take the derivative of the activation before it in its own place?
bool takes_slope(const Op& op) {
  return std::visit([]<class A>(const A&) { return requires { A::kTakesSlope; }; }, op.what);
}

// How many ops (and outputs) read each tensor.
std::vector<int> readers(const Program& p, const std::vector<int>& outputs) {
  std::vector<int> count(p.tensors.size(), 0);
  for (const Op& op : p.ops) {
    for (const int x : op.in) ++count[x];
    if (op.accumulate) ++count[op.out];
  }
  for (const int x : outputs) ++count[x];
  return count;
}

// Does it leave something behind for the next step?
bool leaves(const Op& op) {
  const auto* kept = op.as<ops::KeepRows>();
  return kept != nullptr && kept->followed;
}

void drop_unneeded(Program& p) {
  std::vector<bool> needed(p.tensors.size(), false), dead(p.ops.size(), false);
  for (const int x : p.outputs) needed[x] = true;
  for (std::size_t i = p.ops.size(); i-- > 0;) {
    const Op& op = p.ops[i];
    dead[i] = !needed[op.out] && !leaves(op);
    if (dead[i]) continue;
    for (const int x : op.in) needed[x] = true;
  }
  p.remove(dead);
}

// The first op that writes each tensor.
class Writers {
 public:
  explicit Writers(Program& p) : ops_(p.ops), first_(p.tensors.size(), -1) {
    for (std::size_t i = ops_.size(); i-- > 0;) {
      if (ops_[i].out >= 0) first_[ops_[i].out] = static_cast<int>(i);  // losses may have none
    }
  }
  int position(int tensor) const { return first_[tensor]; }
  Op* of(int tensor) const { return first_[tensor] < 0 ? nullptr : &ops_[first_[tensor]]; }
  // `from`, the only writer of its tensor, writes `tensor` before anybody else does.
  void redirect(Op& from, int tensor) {
    first_[tensor] = first_[from.out];
    first_[from.out] = -1;
    from.out = tensor;
  }

 private:
  std::vector<Op>& ops_;
  std::vector<int> first_;
};

// The affine map of uint8 pixels to [0, 1] costs nothing inside the gather.
void fuse_scaled_input(Program& p, const std::vector<int>& readers) {
  const Writers writers(p);
  for (Op& op : p.ops) {
    const auto* one = op.as<ops::Affine>();
    const auto* each = op.as<ops::AffineChannels>();
    if ((!one && !each) || readers[op.in[0]] != 1) continue;
    Op* from = writers.of(op.in[0]);
    while (from != nullptr && is_alias(*from) && readers[from->in[0]] == 1) {
      from = writers.of(from->in[0]);
    }
    auto* input = from == nullptr ? nullptr : from->as<ops::Input>();
    if (!input || input->scale != 1 || input->shift != 0 || !input->scales.empty()) continue;
    if (one) {
      input->scale = one->scale;
      input->shift = one->shift;
    } else {
      input->scales = each->scales;
      input->shifts = each->shifts;
    }
    from->layer = op.layer;
    op.what = ops::Reshape{};
  }
}

// Batch normalisation adds what goes past a block while its own result is in registers.
void fuse_residual(Program& p, const std::vector<int>& readers) {
  const Writers writers(p);
  std::vector<bool> dead(p.ops.size(), false);
  for (Op& op : p.ops) {
    if (!op.as<ops::Add>() || op.in[0] == op.in[1]) continue;
    for (const int side : {0, 1}) {
      Op* norm = writers.of(op.in[side]);
      const auto* what = norm == nullptr ? nullptr : norm->as<ops::BatchNorm>();
      if (!what || norm->in.size() != 2 || what->f.any() || readers[norm->out] != 1 ||
          norm->recompute != op.recompute || dead[writers.position(norm->out)]) {
        continue;
      }
      dead[writers.position(norm->out)] = true;
      Op joined = *norm;
      joined.in.push_back(op.in[1 - side]);
      joined.out = op.out;
      op = joined;  // where the other side is known
      break;
    }
  }
  p.remove(dead);
}

void fuse_activation(Program& p, const std::vector<int>& readers) {
  Writers writers(p);
  std::vector<bool> dead(p.ops.size(), false);
  const int relu = activation_index("relu");
  for (std::size_t i = 0; i < p.ops.size(); ++i) {
    const Op& op = p.ops[i];
    const auto* activation = op.as<ops::Activation>();
    if (!activation || readers[op.in[0]] != 1) continue;
    Op* from = writers.of(op.in[0]);
    Fused* f = from == nullptr ? nullptr : fused(*from);
    if (!f || f->any() || from->recompute != op.recompute) continue;
    if (from->as<ops::BatchNorm>() && activation->activation != relu) continue;
    *f = *activation;
    if (activation_reads_input(f->activation)) from->before = from->out;
    writers.redirect(*from, op.out);
    dead[i] = true;
  }
  p.remove(dead);
}

}  // namespace

void fuse_forward(Program& p) {
  drop_unneeded(p);
  fuse_scaled_input(p, readers(p, p.outputs));
  fuse_residual(p, readers(p, p.outputs));
  fuse_activation(p, readers(p, p.outputs));
}

void fuse_backward(Program& p) {
  const std::vector<int> reads = readers(p, {});
  Writers writers(p);
  std::vector<bool> dead(p.ops.size(), false);
  for (std::size_t i = p.backward; i < p.ops.size(); ++i) {
    const Op& grad = p.ops[i];
    const auto* activation = grad.as<ops::ActivationGrad>();
    if (!activation || grad.accumulate || reads[grad.in[0]] != 1) continue;
    Op* from = writers.of(grad.in[0]);
    Fused* f = from == nullptr || from->accumulate ? nullptr : fused(*from);
    if (!f || f->any() || !takes_slope(*from)) continue;
    *f = *activation;
    from->stored = grad.in[1];
    writers.redirect(*from, grad.out);
    dead[i] = true;
  }
  p.remove(dead);
}

}  // namespace steep
