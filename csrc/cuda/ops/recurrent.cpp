// Recurrent layers: what of W, U and records their kernels read, and the room they want. Weights are read as they
// are stored but for U^T, which the way back reads in panels.
#include "cuda/ops/recurrent.h"

#include <cmath>
#include <map>

#include "cuda/ops/bind.h"

namespace steep::cuda {

namespace {

using Pack = ops::RecurrentPack;

Unit unit_of(ops::Cell cell) {
  switch (cell) {
    case ops::Cell::LSTM: return Unit::kLstm;
    case ops::Cell::GRU: return Unit::kGru;
    case ops::Cell::GRUBefore: return Unit::kGruBefore;
    default: return Unit::kPlain;
  }
}

int small(long n) { return static_cast<int>(n); }

}  // namespace

Steps steps_of(const ops::Recurrence& op, bool keeps) {
  const long n = op.units;
  Steps s{};
  s.unit = unit_of(op.cell);
  s.relu = op.cell == ops::Cell::Relu;
  s.steps = small(op.steps), s.inputs = small(op.inputs), s.units = small(n);
  s.gates = small(op.gates()), s.memory = small(op.memory());
  s.lengths = op.lengths, s.states = op.states, s.sequences = op.sequences;
  s.returned = op.returned, s.hold = op.hold, s.reverse = op.reverse;
  s.drops = op.dropout > 0, s.keeps_plain = op.keeps_plain(), s.keeps = keeps;
  s.record = small(keeps ? op.record() : op.columns());
  s.at_gates = keeps ? small(op.at_gates() * n) : 0;
  s.at_second = small(op.at_second() * n), s.at_third = small(op.at_third() * n);
  s.at_plain = small(op.at_plain() * n);
  s.at_start = small(op.at_start()), s.at_sums = small(op.at_sums());
  s.at_second_sums = small(op.at_second_sums()), s.tape = small(op.tape());
  s.threshold = static_cast<uint32_t>(std::llround(op.dropout * 4294967296.0));
  s.scale = static_cast<float>(1.0 / (1.0 - op.dropout));
  s.drawn.stream = op.stream;
  return s;
}

namespace {

Steps drawn(Steps s, const Feed* feed) {
  s.drawn.seed = feed->seed;
  return s;
}

float* parameter(const Bound& to, std::size_t i) {
  return i < to.parameters.size() ? to.parameters[i] : nullptr;
}
Gates recurrent_of(const ops::Recurrence& op, const Bound& to) {
  const Panels panels = to.narrow ? Panels{op.columns(), op.units} : Panels{op.units, op.columns()};
  return {{to.parameters[1], panels}, to.narrow};
}
bool by_blocks(const ops::Recurrence& op) { return at_once(op.columns(), op.units); }
View start_of(const Bound& to, std::size_t i) { return i < to.in.size() ? to.in[i] : View{}; }

}  // namespace

bool reads_pack(const Op& op) {
  const auto* pack = op.as<Pack>();
  return pack != nullptr && pack->way == Pack::kRecurrentTurned;
}

void prepare_recurrent(Program& program) {
  std::map<int, std::vector<int>> packed;  // what a pack was made of
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    Op& op = program.ops[i];
    const auto room = [&](long width) { op.before = program.new_tensor({.width = width}); };
    if (op.as<Pack>()) packed[op.out] = op.parameters;
    if (op.as<ops::RecurrentInputGrad>()) op.parameters = packed[op.in[1]];
    if (const auto* forward = op.as<ops::Recurrent>(); forward && op.before < 0) {
      room(by_blocks(*forward) ? forward->steps * forward->columns() : forward->tape());
    }
    const auto* back = op.as<ops::RecurrentGrad>();
    if (back && !by_blocks(*back)) room(3 * padded(back->units));
  }
}

Launch bind(const ops::Recurrent& op, const Bound& to) {
  const Steps s = steps_of(op, to.before.columns == op.tape());
  return [=, w = Gates{to.weight, to.narrow}, u = recurrent_of(op, to),
          biases = Biases{parameter(to, 2), parameter(to, 3)}, feed = to.feed, x = to.in[0],
          start = start_of(to, 1), tape = to.before, y = to.out](const Place& at) {
    recurrent_inputs(at, s, x, w, biases, tape);
    recurrent(at, drawn(s, feed), start, u, biases, tape, y);
  };
}

// Others are not read.
Launch bind(const ops::RecurrentPack& op, const Bound& to) {
  return
      [u = recurrent_of(op, to), units = small(op.Recurrence::units), columns = small(op.columns()),
       out = to.out.data](const Place& at) { recurrent_turned(at, u, units, columns, out); };
}

Launch bind(const ops::RecurrentGrad& op, const Bound& to) {
  const Weight turned{to.in[2].data, {op.columns(), op.units}};
  return [=, s = steps_of(op, true), feed = to.feed, dy = to.in[1], start = start_of(to, 3),
          aside = to.before, tape = to.out](const Place& at) {
    recurrent_grad(at, drawn(s, feed), dy, turned, start, aside, tape);
  };
}

Launch bind(const ops::RecurrentInputGrad& op, const Bound& to) {
  return [s = steps_of(op, true), w = Gates{to.weight, to.narrow}, tape = to.in[0],
          start = start_of(to, 1), dx = to.out, add = to.accumulate](const Place& at) {
    recurrent_input_grad(at, s, tape, w, start, dx, add);
  };
}

}  // namespace steep::cuda
