// Shapes, records and gradients of recurrent layers.
#include "ops/recurrent.h"

#include <algorithm>

#include "ops/shape.h"
#include "ops/steps.h"

namespace steep::ops {

namespace {

Cell cell_of(const Given& given, const std::string& name) {
  static constexpr std::array names{"tanh", "relu", "lstm", "gru", "gru_before"};
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) given.refuse("no recurrent cell is called \"", name, "\"");
  return static_cast<Cell>(at - names.begin());
}

void check_rate(const Given& given, double rate) {
  if (!(rate >= 0 && rate <= 1 - 0x1p-24)) {
    given.refuse("dropout rate must be from 0 to 1 - 2^-24, got ", rate);
  }
}

int packed(Steps& to, const Recurrence& of, RecurrentPack::Way way, std::vector<int> parameters) {
  const RecurrentPack pack{of, way};
  return to.first({.what = pack, .parameters = std::move(parameters)},
                  {.width = pack.size(), .samples = kAllSamples});
}

}  // namespace

Shape Recurrent::shape(const Given& given) {
  const Shape &x = given.shape(), &w = given.parameter(0), &u = given.parameter(1);
  cell = cell_of(given, name);
  if (x.size() != 2) {
    given.refuse("expects a sequence (steps, features), got ", text_of(x),
                 ". Put Reshape((steps, features)) before it.");
  }
  steps = x[0], inputs = x[1];
  if (u.size() != 2 || u[1] != gates() * u[0]) {
    given.refuse("a recurrent weight must have shape (units, ", gates(), "*units), got ",
                 text_of(u));
  }
  units = u[0];
  if (w != Shape{inputs, columns()}) {
    given.refuse("input of ", inputs, " features and ", units,
                 " units do not fit weights of shape ", text_of(w));
  }
  if (given.has_parameter(2)) given.expect_vector(2, "bias must have shape", columns());
  if (given.has_parameter(3)) {
    if (cell != Cell::GRU) given.refuse("only a GRU that resets after the product has two biases");
    given.expect_vector(3, "recurrent bias must have shape", columns());
  }
  if ((lengths || states) && given.shape(1) != Shape{width()}) {
    given.refuse("expects what it starts with as (", width(), ",), got ", text_of(given.shape(1)));
  }
  check_rate(given, dropout);
  if (static_cast<double>(tape()) > static_cast<double>(kMostElements)) {
    given.refuse(steps, " steps of ", units, " units are too many: at most 2^40 numbers a sample");
  }
  if (dropout > 0) stream = given.next_draw();
  const long rows = (sequences ? steps : 1) + (returned ? memory() : 0);
  return sequences || returned ? Shape{rows, units} : Shape{units};
}

void Recurrent::lower(Lowering& to, Op& op) const {
  Recurrent mine = *this;
  if (!to.training()) mine.dropout = 0;
  const int pack = packed(to, *this, RecurrentPack::kForward, op.parameters);
  if (!lengths && !states) op.in.pop_back();
  op.in.insert(op.in.begin() + 1, pack);
  if (to.training()) op.before = to.besides({.width = tape()});
  op.what = mine;
}

void Recurrent::gradient(Gradients& to, const Op& op) const {
  const int weight = op.parameter(0), recurrent = op.parameter(1);
  const int start = op.in.size() > 2 ? op.in[2] : -1, counts = lengths ? start : -1;
  const auto with_start = [&](std::vector<int> in) {
    if (start >= 0) in.push_back(start);
    return in;
  };
  const std::vector<int> weights{weight, recurrent};
  const int turned = packed(to, *this, RecurrentPack::kRecurrentTurned, weights);
  const int dz =
      to.step({.what = RecurrentGrad{*this}, .in = with_start({op.before, to.result(), turned})},
              {.width = tape()});
  const auto outer = [&](int parameter, int x, Stride x_at, long dy_at) {
    to.term(parameter, {.form = GradTerm::Form::Outer,
                        .x = x,
                        .dy = dz,
                        .positions = steps,
                        .x_at = x_at,
                        .dy_at = {dy_at * units, record()},
                        .lengths = counts});
  };
  const auto sums = [&](int parameter, long at) {
    to.term(parameter, {.form = GradTerm::Form::Sum, .x = -1, .dy = dz, .dy_at = {at, 0}});
  };
  outer(weight, op.in[0], {}, at_gates());
  outer(recurrent, dz, {0, record()}, at_second());
  if (cell == Cell::GRUBefore) outer(recurrent, dz, {units, record()}, at_third());
  sums(op.parameter(2), at_sums());
  sums(op.parameter(3), at_second_sums());
  if (to.wanted(0)) {
    const int back = packed(to, *this, RecurrentPack::kWeightTurned, weights);
    to.give(0, {.what = RecurrentInputGrad{*this}, .in = with_start({dz, back})});
  }
  if (states && to.wanted(2)) {
    to.give(2, {.what = CopyColumns{at_start(), 0, width(), 1}, .in = {dz}});
  }
}

// Samples have: x and h of a step, and of the next one; h, c, and one mask; gates of 32 units of some of them,
// and r h.
long Recurrent::scratch() const {
  const long wide = padded(units);
  return rows() * (2 * spread(inputs + wide) + 3 * wide + spread(wide)) + kRows * 4 * kPanel;
}

// Gradients of h and c, the mask; what comes of U; gradients before the gates.
long RecurrentGrad::scratch() const { return rows() * (4 * padded(units) + spread(columns())); }

Shape StepDropout::shape(const Given& given) {
  check_rate(given, rate);
  stream = given.next_draw();
  positions = given.positions();
  return given.shape();
}

void StepDropout::lower(Lowering& to, Op& op) const {
  if (!to.training()) op.what = Reshape{};
}

void StepDropout::gradient(Gradients& to, const Op&) const {
  to.give(0, {.what = *this, .in = {to.result()}});
}

}  // namespace steep::ops
