// The fusion rules; each says who may be joined with whom.
#include "graph/fuse.h"

#include <algorithm>

#include "graph/names.h"

namespace steep {

void drop_self_aliases(Program& p) {
  std::erase_if(p.ops, [](const Op& op) { return op.kind == Kind::Alias && op.in[0] == op.out; });
}

namespace {

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

void drop_unneeded(Program& p, const std::vector<int>& outputs) {
  std::vector<bool> needed(p.tensors.size(), false);
  for (const int x : outputs) needed[x] = true;
  for (auto op = p.ops.rbegin(); op != p.ops.rend(); ++op) {
    if (!needed[op->out]) continue;
    for (const int x : op->in) needed[x] = true;
  }
  std::erase_if(p.ops, [&](const Op& op) { return op.kind != Kind::Input && !needed[op.out]; });
}

// The first op that writes each tensor.
class Writers {
 public:
  explicit Writers(Program& p) : ops_(p.ops), first_(p.tensors.size(), -1) {
    for (std::size_t i = ops_.size(); i-- > 0;) first_[ops_[i].out] = static_cast<int>(i);
  }
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
    if (op.kind != Kind::Affine || readers[op.in[0]] != 1) continue;
    Op* from = writers.of(op.in[0]);
    while (from != nullptr && from->kind == Kind::Alias && readers[from->in[0]] == 1) {
      from = writers.of(from->in[0]);
    }
    if (from == nullptr || from->kind != Kind::Input || from->scale != 1 || from->shift != 0 ||
        !from->scales.empty()) {
      continue;
    }
    from->scale = op.scale;
    from->shift = op.shift;
    from->scales = op.scales;
    from->shifts = op.shifts;
    from->layer = op.layer;
    op.kind = Kind::Alias;
  }
}

// Batch normalisation adds what goes past a block while its own result is in registers.
void fuse_residual(Program& p, const std::vector<int>& readers) {
  const Writers writers(p);
  for (Op& op : p.ops) {
    if (op.kind != Kind::Add || op.in[0] == op.in[1]) continue;
    for (const int side : {0, 1}) {
      Op* norm = writers.of(op.in[side]);
      if (norm == nullptr || norm->kind != Kind::BatchNorm || norm->in.size() != 2 ||
          norm->activation >= 0 || readers[norm->out] != 1 || norm->recompute != op.recompute) {
        continue;
      }
      Op joined = *norm;
      joined.in.push_back(op.in[1 - side]);
      joined.out = op.out;
      norm->kind = Kind::Alias;  // of itself: dropped below
      norm->in = {norm->out};
      op = joined;  // where the other side is known
      break;
    }
  }
  drop_self_aliases(p);
}

void fuse_activation(Program& p, const std::vector<int>& readers) {
  Writers writers(p);
  const int relu = activation_index("relu");
  for (Op& op : p.ops) {
    if (op.kind != Kind::Activation || readers[op.in[0]] != 1) continue;
    Op* from = writers.of(op.in[0]);
    if (from == nullptr || from->activation >= 0 || from->recompute != op.recompute) continue;
    if (from->kind != Kind::MatMul && from->kind != Kind::Conv &&
        !(from->kind == Kind::BatchNorm && op.activation == relu)) {
      continue;
    }
    from->activation = op.activation;
    from->alpha = op.alpha;
    if (activation_reads_input(op.activation)) from->before = from->out;
    writers.redirect(*from, op.out);
    op.kind = Kind::Alias;  // of itself: dropped below
    op.in = {op.out};
  }
  drop_self_aliases(p);
}

}  // namespace

void fuse_forward(Program& p, const std::vector<int>& outputs) {
  drop_unneeded(p, outputs);
  fuse_scaled_input(p, readers(p, outputs));
  fuse_residual(p, readers(p, outputs));
  fuse_activation(p, readers(p, outputs));
}

void fuse_backward(Program& p) {
  const std::vector<int> reads = readers(p, {});
  Writers writers(p);
  for (std::size_t i = p.backward; i < p.ops.size(); ++i) {
    Op& grad = p.ops[i];
    if (grad.kind != Kind::ActivationGrad || grad.accumulate || reads[grad.in[0]] != 1) continue;
    Op* from = writers.of(grad.in[0]);
    if (from == nullptr || from->stored >= 0 || from->accumulate ||
        (from->kind != Kind::MatMulGrad && from->kind != Kind::ConvGrad)) {
      continue;
    }
    from->activation = grad.activation;
    from->alpha = grad.alpha;
    from->stored = grad.in[1];
    writers.redirect(*from, grad.out);
    grad.kind = Kind::Alias;
    grad.in = {grad.out};
  }
  drop_self_aliases(p);
}

}  // namespace steep
