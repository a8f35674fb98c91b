// Recurrent layers in dual numbers, which read weights as they are stored.
#include "cuda/kernels/tangent_recurrent.h"

#include <map>

#include "cuda/ops/recurrent.h"
#include "cuda/ops/tangent.h"

namespace steep::cuda {

namespace {

DualGates gates_of(const ops::Recurrence& op, const DualBound& to, std::size_t parameter) {
  const long rows = parameter == 0 ? op.inputs : op.units, columns = op.columns();
  const bool narrow = to.weight.narrow;
  return {to.parameters[parameter], narrow ? Panels{columns, rows} : Panels{rows, columns}, narrow};
}

// `start` is input number `first` of the op, where it has one.
DualLayer layer_of(const ops::Recurrence& op, const DualBound& to, std::size_t first) {
  const auto bias = [&](std::size_t i) {
    return i < to.parameters.size() ? to.parameters[i] : nullptr;
  };
  return {steps_of(op, true),
          1.0 / (1.0 - op.dropout),
          gates_of(op, to, 0),
          gates_of(op, to, 1),
          bias(2),
          bias(3),
          first < to.in.size() ? to.in[first] : Duals{}};
}
DualLayer drawn(DualLayer of, const Feed* feed) {
  of.steps.drawn.seed = feed->seed;
  return of;
}

}  // namespace

void read_weights_as_stored(Program& program) {
  std::map<int, std::vector<int>> packed;  // what a pack was made of
  std::vector<bool> dead(program.ops.size());
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    Op& op = program.ops[i];
    if (op.as<ops::RecurrentPack>()) {
      packed[op.out] = op.parameters;
      dead[i] = true;
    }
    if (op.as<ops::RecurrentInputGrad>()) op.parameters = packed.at(op.in[1]);
    if (op.as<ops::RecurrentGrad>()) op.parameters = packed.at(op.in[2]);
  }
  program.remove(dead);
  for (Op& op : program.ops) std::erase_if(op.in, [&](int x) { return packed.count(x) > 0; });
}

long room(const ops::Recurrent& op, long rows) { return DualLayer::kRoom * rows * op.units; }
long room(const ops::RecurrentGrad& op, long rows) { return DualLayer::kRoom * rows * op.units; }

Launch bind(const ops::Recurrent& op, const DualBound& to) {
  return
      [layer = layer_of(op, to, 1), feed = to.feed, x = to.in[0], tape = to.before, room = to.room,
       y = to.out](const Place& at) { recurrent(at, drawn(layer, feed), x, tape, room, y); };
}

Launch bind(const ops::RecurrentGrad& op, const DualBound& to) {
  return
      [layer = layer_of(op, to, 2), feed = to.feed, dy = to.in[1], room = to.room,
       tape = to.out](const Place& at) { recurrent_grad(at, drawn(layer, feed), dy, room, tape); };
}

Launch bind(const ops::RecurrentInputGrad& op, const DualBound& to) {
  return [layer = layer_of(op, to, 1), tape = to.in[0], dx = to.out,
          add = to.accumulate](const Place& at) { recurrent_input_grad(at, layer, tape, dx, add); };
}

}  // namespace steep::cuda
