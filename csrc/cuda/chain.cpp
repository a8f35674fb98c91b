// Chooses trainings that one block takes, and lays them out in its shared memory.
#include "cuda/chain.h"

#include <utility>

#include "base/error.h"
#include "cuda/plan.h"
#include "graph/shared.h"
#include "plan/schedule.h"

namespace steep::cuda {

namespace {

constexpr int kFloat = static_cast<int>(sizeof(float));
constexpr long kColumns = 32;  // a column is of so many numbers at a time: see swirled()
constexpr long kAlign = 16;    // bytes
constexpr long kMostBytes = 1L << 24;

Packing packing_of(const Slice& s) {
  return {static_cast<int>(s.rows), static_cast<int>(padded(s.columns))};
}
// Of a product: fours of columns, whole panels.
Divisor fours_of_panels(int columns) { return Divisor(ceil_div(columns, kPanel) * kPanel / 4); }

}  // namespace

template <class... Parts> void Chain::leave(const Parts&... parts) {
  if (why_not.empty()) why_not = text(parts...);
}

Spot Chain::spot(int tensor) const { return tensor < 0 ? Spot{} : spots_[tensor]; }

namespace {

// An op as a node, where the block has it.
struct Noded {
  const Program& program;
  const Layout& weights;
  const std::vector<Spot>& spots;
  const Op& op;
  Node node{};
  Chain::Scales scales{};
  std::string why_not{};

  Spot spot(int tensor) const { return tensor < 0 ? Spot{} : spots[tensor]; }
  void set(Node::Act act) {
    node.act = act;
    if (!op.in.empty()) node.x = spot(op.in[0]);
    node.y = spot(op.out);
    node.accumulate = op.accumulate;
    if (node.y.any()) node.by_columns = Divisor(ceil_div(node.y.columns, 4));
  }
  void multiply(const ops::Multiplying& of, bool turned) {
    if (of.positions != 1) why_not = "products by position";
    const Slice& s = weights.slices[op.parameter(0)];
    set(s.narrow && !turned ? Node::kDots : Node::kProduct);
    node.w = static_cast<int>(s.offset);
    node.packing = packing_of(s);
    node.turned = turned && !s.narrow;
    node.f = of.f.activation;
    node.alpha = static_cast<float>(of.f.alpha);
    node.by_columns = fours_of_panels(node.y.columns);
  }

  void operator()(const ops::Input& of) {
    set(Node::kRead);
    node.scale = static_cast<float>(of.scale);
    node.shift = static_cast<float>(of.shift);
    node.number = of.number;
    node.target = of.target;
    if (of.number >= kMostRead) why_not = text("more than ", kMostRead, " inputs");
    node.period = static_cast<int>(of.scales.size());
    node.by_columns = Divisor(node.y.columns);
    scales = {of.scales, of.shifts};
  }
  void operator()(const ops::MatMul& of) {
    multiply(of, of.turned);
    node.other = spot(op.before);
    const int bias = op.parameter(1);
    if (bias >= 0) node.bias = static_cast<int>(weights.slices[bias].offset);
  }
  void operator()(const ops::MatMulGrad& of) {
    multiply(of, !of.turned);
    node.other = spot(op.stored);
    node.grad = true;
  }
  void operator()(const ops::Activation& of) {
    set(Node::kActivation);
    node.f = of.activation;
    node.alpha = static_cast<float>(of.alpha);
  }
  void operator()(const ops::ActivationGrad& of) {
    set(Node::kActivationGrad);
    node.other = spot(op.in[1]);
    node.f = of.activation;
    node.alpha = static_cast<float>(of.alpha);
  }
  void operator()(const ops::Affine& of) {
    if (of.scalar >= 0) why_not = "a scale that changes with the step";
    set(Node::kAffine);
    node.scale = static_cast<float>(of.scale);
    node.shift = static_cast<float>(of.shift);
  }
  void operator()(const ops::Dropout& of) {
    if (of.scalar >= 0) why_not = "a rate of dropout that changes with the step";
    set(Node::kDropout);
    node.drawn = {0, of.stream, of.redraw_epoch};
    node.threshold = threshold_of(of.rate);
    node.scale = static_cast<float>(of.scale);
  }
  void operator()(const ops::Add&) {
    set(Node::kSum);
    node.other = spot(op.in[1]);
  }
  void operator()(const ops::Loss& of) {
    set(Node::kLoss);
    node.f = of.loss;
    node.alpha = static_cast<float>(of.option);
  }
  template <class A> void operator()(const A&) { why_not = A::kName; }
};

}  // namespace

void Chain::add_nodes(const Program& program, const Layout& weights) {
  const auto add = [&](const Op& op, bool reads) {
    if (is_alias(op) || (op.as<ops::Input>() != nullptr) != reads) return;
    Noded noded{program, weights, spots_, op};
    std::visit(noded, op.what);
    if (!noded.why_not.empty()) leave("no ", noded.why_not, " in one block");
    nodes.push_back(noded.node);
    scales.push_back(std::move(noded.scales));
  };
  for (const Op& op : program.ops) add(op, true);  // those come first
  for (const Op& op : program.ops) add(op, false);
}

void Chain::add_shares(const Program& program, const Layout& weights) {
  for (std::size_t p = 0; p < program.terms.size(); ++p) {
    if (!program.trains[p] || program.terms[p].empty()) continue;
    const Slice& s = weights.slices[p];
    const GradTerm& t = program.terms[p][0];
    const bool outer = t.form == GradTerm::Form::Outer;
    if (program.terms[p].size() > 1) leave("\"", s.name, "\" is used more than once");
    const bool plain =
        t.positions == 1 && !t.second_half && !t.x_at.any() && !t.dy_at.any() && t.lengths < 0;
    if (!plain || (!outer && t.form != GradTerm::Form::Sum)) {
      return leave("\"", s.name, "\" is no weight or bias of a dense layer");
    }
    Spot x = spot(t.x), dy = spot(t.dy);
    dy.columns = static_cast<int>(s.narrow ? s.rows : s.columns);
    if (outer && s.narrow) std::swap(x, dy);
    shares.push_back(
        {x, dy, static_cast<int>(s.offset), packing_of(s), outer, fours_of_panels(dy.columns)});
  }
}

void Chain::add_moved(const Program& program, const Layout& weights, const Recipe& recipe) {
  if (recipe.any_sparse()) leave("sparse steps");
  averages = recipe.average;
  const Tasks all(weights, program.trains);
  tasks = all.all;
  for (std::size_t p = 0; p < weights.slices.size(); ++p) {
    if (!program.trains[p]) continue;
    const Slice& s = weights.slices[p];
    const int group = recipe.groups[p];
    if (group == kNobody) return leave("nobody moves \"", s.name, "\"");
    if (rule >= 0 && rule != recipe.rules[group]) leave("more than one rule");
    rule = recipe.rules[group];
    if (!stays(rule)) leave("the rule ", recipe.rule(group).name, " takes two passes");
    if (s.bound.by_column()) leave("\"", s.name, "\" has bounds for columns");
    slots = static_cast<int>(recipe.rule(group).slots.size());
    for (int i = all.first[p]; i < all.first[p + 1]; ++i) {
      tasks[i].parameter = static_cast<int>(moved.size());
    }
    moved.push_back({static_cast<int>(s.offset),
                     static_cast<int>(s.size),
                     recipe.knobs(group),
                     all.first[p],
                     {}});
    parameters.push_back(static_cast<int>(p));
  }
  if (moved.empty()) leave("nothing moves");
}

void Chain::lay_out(const Program& program, const Layout& weights, int knobs, long tensors) {
  long end = 0;
  const auto room = [&](int& place, long bytes) {
    place = static_cast<int>(end);
    end += ceil_div(bytes, kAlign) * kAlign;
  };
  const auto list = [&](int& place, const auto& all) {
    room(place, static_cast<long>(all.size() * sizeof(all[0])));
  };
  list(at.nodes, nodes);
  list(at.shares, shares);
  list(at.moved, moved);
  list(at.tasks, tasks);
  column = static_cast<int>(ceil_div(weights.size, kColumns) * kColumns);
  end = ceil_div(end, kColumns * kFloat) * kColumns * kFloat;
  room(at.columns, static_cast<long>(column) * (2 + slots + (averages ? 1 : 0)) * kFloat);
  room(at.tensors, tensors);
  constexpr long kDouble = sizeof(double);
  room(at.values, rows * kDouble);
  room(at.correct, rows * kDouble);
  const LossTerm& term = program.losses[0];
  target_columns = static_cast<int>(program.tensors[term.tensor].width);
  const long before = end;
  room(at.labels, rows * static_cast<long>(sizeof(int32_t)));
  room(at.weights, term.weights >= 0 ? rows * kDouble : 0);
  room(at.targets, rows * target_columns * kFloat);
  room(at.row, sizeof(StepRow));
  room(at.term, sizeof(TermRow));
  room(at.knobs, static_cast<long>(knobs) * kFloat);
  room(at.limits, knobs * kDouble);
  at.next = static_cast<int>(end - before);
  end += at.next;
  room(at.squares, static_cast<long>(tasks.size()) * kDouble);
  room(at.lengths, static_cast<long>(weights.slices.size()) * kDouble);
  room(at.scales, static_cast<long>(tasks.size()) * kDouble);
  room(at.whole, kDouble);
  at.bytes = static_cast<int>(end);
}

Chain::Chain(Program program, const Layout& weights, const Recipe& recipe, int knobs, long count,
             long most)
    : rows(count) {
  if (program.losses.size() != 1 || program.losses[0].loss < 0) {
    leave("not one loss of samples");
    return;
  }
  for (Tensor& t : program.tensors) t.format = Format::Float32;
  // What is read lies twice behind the other tensors.
  const std::vector<int> root = roots(program);
  std::vector<long> elsewhere(program.tensors.size(), -1);
  long read = 0;
  for (const Op& op : program.ops) {
    if (op.as<ops::Input>() == nullptr) continue;
    elsewhere[root[op.out]] = read;
    read += spread(program.tensors[op.out].width) * rows * kFloat;
  }
  const Schedule schedule(program, rows, elsewhere);
  const long inner = schedule.values;
  const long least = inner + 2 * read + weights.size * kFloat;
  if (least > kMostBytes) {  // places are short numbers
    leave("it would take more than ", least, " bytes of shared memory, a block has ", most);
    return;
  }
  for (std::size_t i = 0; i < program.tensors.size(); ++i) {
    const long offset = schedule.offset[i] + (schedule.apart[i] ? inner : 0);
    spots_.push_back(schedule.offset[i] < 0
                         ? Spot{}
                         : Spot{static_cast<int>(offset / kFloat),
                                static_cast<int>(schedule.stride[i]),
                                static_cast<int>(program.tensors[i].width),
                                schedule.apart[i] ? static_cast<int>(read / kFloat) : 0});
  }
  add_nodes(program, weights);
  add_shares(program, weights);
  add_moved(program, weights, recipe);
  lay_out(program, weights, knobs, inner + 2 * read);
  if (at.bytes > most) {
    leave("it would take ", at.bytes, " bytes of shared memory, a block has ", most);
  }
}

}  // namespace steep::cuda
