// The forward ops of two programs side by side: from tensors of the graph, which both number alike, to the steps
// that lowering put before them.
#include "graph/shared.h"

#include <algorithm>
#include <numeric>

#include "ops/names.h"

namespace steep {

namespace {

constexpr int kUnknown = -2, kNone = -1;

// By tensor; what is joined has one for each part.
using Writers = std::vector<std::vector<const Op*>>;
Writers forward_writers(const Program& p) {
  Writers writers(p.tensors.size());
  for (std::size_t i = 0; i < p.backward; ++i) {
    for (const int x : {p.ops[i].out, p.ops[i].before})
      if (x >= 0) writers[x].push_back(&p.ops[i]);
  }
  return writers;
}

// Does it leave something in its parameters when the step is over?
bool follows(const Op& op) {
  const auto* statistics = op.as<ops::BatchStatistics>();
  const auto* vectors = op.as<ops::SpectralVectors>();
  const auto* kept = op.as<ops::KeepRows>();
  return (statistics && statistics->followed) || (vectors && vectors->followed) ||
         (kept && kept->followed);
}

bool same_input(const Op& a, const Op& b) {
  const auto *one = a.as<ops::Input>(), *other = b.as<ops::Input>();
  return one == nullptr || (one->scale == other->scale && one->shift == other->shift &&
                            one->scales == other->scales && one->shifts == other->shifts);
}

bool same_activation(Op a, Op b) {
  const Fused *one = fused(a), *other = fused(b);
  return one == nullptr || (one->activation == other->activation && one->alpha == other->alpha);
}

class Matcher {
 public:
  Matcher(const Program& first, const Program& then, const std::vector<bool>& moved)
      : first_(forward_writers(first)), then_(forward_writers(then)), moved_(moved),
        of_graph_(static_cast<int>(then.of_graph)), known_(then.tensors.size(), kUnknown) {
    for (int x = 0; x < of_graph_; ++x) matches(x, x);
    for (int& x : known_) x = std::max(x, kNone);
  }
  const std::vector<int>& known() const { return known_; }  // by tensor of `then`, or -1

 private:
  // Do both ops compute the same? An op of the graph is the same in both, and so are the steps it was lowered
  // to; but an objective has things frozen, or fused, of its own.
  bool matches(int a, int b) {
    if ((a < of_graph_ || b < of_graph_) && a != b) return false;
    if (known_[b] != kUnknown) return known_[b] == a;
    known_[b] = kNone;
    const std::vector<const Op*>&ones = first_[a], &others = then_[b];
    if (ones.empty() || ones.size() != others.size()) return false;
    for (std::size_t i = 0; i < ones.size(); ++i) {
      if (!alike(*ones[i], *others[i])) return false;
      for (std::size_t k = 0; k < ones[i]->in.size(); ++k) {
        if (!matches(ones[i]->in[k], others[i]->in[k])) return false;
      }
    }
    known_[others[0]->out] = ones[0]->out;
    if (others[0]->before >= 0) known_[others[0]->before] = ones[0]->before;
    return true;
  }
  bool alike(const Op& a, const Op& b) const {
    const auto moves = [&](int p) { return p >= 0 && moved_[p]; };
    // What the way back writes over is not there any more.
    if (a.as<ops::Recurrent>() != nullptr) return false;
    return a.what.index() == b.what.index() && a.parameters == b.parameters &&
           a.in.size() == b.in.size() && a.out >= 0 && b.out >= 0 &&
           (a.before >= 0) == (b.before >= 0) && same_input(a, b) && same_activation(a, b) &&
           std::none_of(a.parameters.begin(), a.parameters.end(), moves);
  }

  const Writers first_, then_;
  const std::vector<bool>& moved_;
  const int of_graph_;
  std::vector<int> known_;
};

// Tensors that somebody reads who is not found done, or that are looked at when the step is over.
std::vector<bool> read(const Program& p, const std::vector<bool>& found) {
  std::vector<bool> is(p.tensors.size(), false);
  const auto mark = [&](int x) {
    if (x >= 0) is[x] = true;
  };
  for (std::size_t i = 0; i < p.ops.size(); ++i) {
    const Op& op = p.ops[i];
    if (follows(op)) mark(op.out);
    if (i < p.backward && op.out >= 0 && found[op.out]) continue;
    for (const int x : op.in) mark(x);
    mark(op.stored);
  }
  for (const auto& terms : p.terms) {
    for (const GradTerm& t : terms) {
      mark(t.x);
      mark(t.dy);
      mark(t.lengths);
    }
  }
  return is;
}

}  // namespace

std::vector<int> roots(const Program& program) {
  std::vector<int> root(program.tensors.size());
  std::iota(root.begin(), root.end(), 0);
  for (const Op& op : program.ops) {
    if (is_alias(op) || is_in_place(op)) root[op.out] = root[op.in[0]];
  }
  return root;
}

Shared shared_pass(const Program& first, const Program& then, std::vector<bool> moved) {
  for (const Op& op : first.ops) {
    for (const int p : op.parameters)
      if (p >= 0 && follows(op)) moved[p] = true;
  }
  const std::vector<int> known = Matcher(first, then, moved).known();
  const std::vector<int> root = roots(then);
  const Writers writers = forward_writers(then);
  Shared shared{std::vector<bool>(known.size(), false), {}};
  for (std::size_t x = 0; x < known.size(); ++x) {
    shared.found[x] = known[x] >= 0 && !writers[x][0]->as<ops::Input>();  // samples are read anyway
  }
  // What has a size that only the device knows has no place of its own: it is done again.
  for (bool settled = false; !settled;) {
    settled = true;
    const std::vector<bool> wanted = read(then, shared.found);
    shared.kept.assign(known.size(), -1);
    for (std::size_t x = 0; x < known.size(); ++x) {
      if (!shared.found[x] || !wanted[x]) continue;
      const int at = root[x];
      if (!shared.found[at]) continue;  // another name of a sample
      if (then.tensors[at].width > 0) {
        shared.kept[at] = known[at];
        continue;
      }
      shared.found[at] = settled = false;
    }
  }
  const bool some =
      std::any_of(shared.kept.begin(), shared.kept.end(), [](int x) { return x >= 0; });
  return some ? shared : Shared{};
}

}  // namespace steep
