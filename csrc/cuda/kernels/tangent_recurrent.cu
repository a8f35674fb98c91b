// Recurrent layers in dual numbers: a block takes a row through its steps, a thread has units of it; what all units
// read of a step lies in its record. Sums go in the CPU's order.
#include "cuda/kernels/tangent.cuh"
// The line above comes first.
#include "cuda/kernels/drawn.cuh"
#include "cuda/kernels/tangent_recurrent.h"

namespace steep::cuda {

namespace {

constexpr int kThreads = 64;

STEEP_HD Dual get(const DualGates& w, int row, int column) {
  return get(w.data + (w.narrow ? w.panels.at(column, row) : w.panels.at(row, column)));
}

STEEP_HD int steps_of(const DualLayer& of, int r) {
  if (!of.steps.lengths) return of.steps.steps;
  const double n = get(of.start, r, 0).v;
  return !(n > 0) ? 0 : n > of.steps.steps ? of.steps.steps : static_cast<int>(n);
}

// A row on its way: h or its gradient, c or that, what U gives, the mask; a number of each unit.
struct Row {
  const DualLayer& of;
  int r, steps, units;
  DualNumber *tape, *h, *c, *by_u, *mask;
  __device__ Row(const DualLayer& layer, const Duals& records, DualNumber* room)
      : of(layer), r(static_cast<int>(blockIdx.x)), steps(cuda::steps_of(layer, r)),
        units(layer.steps.units), tape(place(records, r, 0)),
        h(room + static_cast<long>(DualLayer::kRoom) * r * units), c(h + units), by_u(c + units),
        mask(by_u + units) {}
  // Calls f for the units of this thread.
  template <class F> __device__ __forceinline__ void each(const F& f) const {
    for (int j = static_cast<int>(threadIdx.x); j < units; j += kThreads) f(j);
  }
  __device__ int position(int k) const { return of.steps.reverse ? steps - 1 - k : k; }
  __device__ DualNumber* record(int k) const {
    return tape + static_cast<long>(position(k)) * of.steps.record;
  }
  __device__ void draw(const Now& now, int j) const {
    const Philox4 bits = words_of(of.steps.drawn, row_of(now), r, j / 4);
    put(mask + j, bits.word[j % 4] >= of.steps.threshold ? Dual(of.scale) : Dual(0));
  }
};

// sum + x W of one column
STEEP_HD Dual meet(const DualNumber* x, int n, const DualGates& w, int column, Dual sum) {
  for (int q = 0; q < n; ++q) sum = fma_(get(x + q), get(w, q, column), sum);
  return sum;
}
// sum + dz W^T of gates [first, last), for one row of W
STEEP_HD Dual meet_turned(const DualNumber* dz, int first, int last, const DualGates& w, int row,
                          Dual sum) {
  for (int q = first; q < last; ++q) sum = fma_(get(dz + q), get(w, row, q), sum);
  return sum;
}

STEEP_HD Dual bias(const DualNumber* of, int at) { return of ? get(of + at) : Dual(0); }
// The biases of both products where they are simply added.
STEEP_HD Dual bias(const DualLayer& of, int gate, int j) {
  const int at = gate * of.steps.units + j;
  const Dual first = bias(of.of_x, at);
  return of.steps.unit == Unit::kGru && gate < 2 ? first + bias(of.of_h, at) : first;
}

// ---- Forward ----

struct Forward : Row {
  const DualNumber* x = nullptr;  // of a position
  __device__ Forward(const DualLayer& layer, const Duals& records, DualNumber* room)
      : Row(layer, records, room) {}

  __device__ Dual by_x(int gate, int j) const {
    return meet(x, of.steps.inputs, of.w, gate * units + j, bias(of, gate, j));
  }
  __device__ Dual by_h(const DualNumber* from, int gate, int j, Dual sum) const {
    return meet(from, units, of.u, gate * units + j, sum);
  }
  __device__ Dual both(const DualNumber* back, int gate, int j) const {
    return by_h(back, gate, j, by_x(gate, j));
  }

  __device__ void begin(const Now& now, int j) const {
    const Steps& s = of.steps;
    put(h + j, s.states ? get(of.start, r, s.lengths + j) : Dual(0));
    const bool stored = s.states && s.memory > 1;
    put(c + j, stored ? get(of.start, r, s.lengths + units + j) : Dual(0));
    if (s.drops) draw(now, j);
  }
  // What all units read, and what the way back needs of the states before the step.
  __device__ void open(DualNumber* back, int j) const {
    const Steps& s = of.steps;
    const Dual state = get(h + j);
    put(back + j, s.drops ? state * get(mask + j) : state);
    if (s.unit == Unit::kLstm) put(back + units + j, get(c + j));
    if (s.keeps_plain) put(back + s.at_plain + j, state);
  }

  __device__ void lstm(DualNumber* back, int j) const {
    DualNumber* const at = back + of.steps.at_gates + j;
    const Dual i = logistic_(both(back, 0, j)), f = logistic_(both(back, 1, j));
    const Dual g = tanh_(both(back, 2, j)), o = logistic_(both(back, 3, j));
    const Dual cell = fma_(f, get(c + j), i * g);
    put(at, i), put(at + units, f), put(at + 2 * units, g), put(at + 3 * units, o);
    put(c + j, cell);
    put(h + j, o * tanh_(cell));
  }
  __device__ void gru(DualNumber* back, int j) const {
    DualNumber* const at = back + of.steps.at_gates + j;
    const Dual reset = logistic_(both(back, 0, j)), u = logistic_(both(back, 1, j));
    const Dual of_h = by_h(back, 2, j, bias(of.of_h, 2 * units + j));
    const Dual n = tanh_(fma_(reset, of_h, by_x(2, j)));
    put(at, reset), put(at + units, u), put(at + 2 * units, n);
    put(back + of.steps.at_second + 2 * units + j, of_h);
    put(h + j, fma_(u, get(h + j) - n, n));
  }
  // r h of all units comes before any n.
  __device__ void reset(DualNumber* back, int j) const {
    DualNumber* const at = back + of.steps.at_gates + j;
    const Dual reset = logistic_(both(back, 0, j));
    put(at, reset);
    put(at + units, logistic_(both(back, 1, j)));
    put(back + units + j, reset * get(back + j));
  }
  __device__ void gru_before(DualNumber* back, int j) const {
    DualNumber* const at = back + of.steps.at_gates + j;
    const Dual n = tanh_(by_h(back + units, 2, j, by_x(2, j))), u = get(at + units);
    put(at + 2 * units, n);
    put(h + j, fma_(u, get(h + j) - n, n));
  }
  __device__ void plain_cell(DualNumber* back, int j) const {
    const Dual z = both(back, 0, j), state = of.steps.relu ? relu_(z) : tanh_(z);
    put(back + of.steps.at_gates + j, state);
    put(h + j, state);
  }
  __device__ void cell(DualNumber* back, int j) const {
    switch (of.steps.unit) {
      case Unit::kLstm: return lstm(back, j);
      case Unit::kGru: return gru(back, j);
      case Unit::kGruBefore: return reset(back, j);
      default: return plain_cell(back, j);
    }
  }

  // Steps that are not there, and states that are asked for.
  __device__ void end(DualNumber* y, int j) const {
    const Steps& s = of.steps;
    const Dual last = get(h + j);
    for (int t = s.sequences ? steps : 0; t < (s.sequences ? s.steps : 1); ++t)
      put(y + static_cast<long>(t) * units + j, s.hold || !s.sequences ? last : Dual(0));
    y += static_cast<long>(s.sequences ? s.steps : 1) * units;
    if (!s.returned) return;
    put(y + j, last);
    if (s.memory > 1) put(y + units + j, get(c + j));
  }
};

__global__ void __launch_bounds__(kThreads)
    walk(Now now, DualLayer of, Duals x, Duals tape, DualNumber* room, Duals y) {
  Forward row(of, tape, room);
  DualNumber* const out = place(y, row.r, 0);
  row.each([&](int j) { row.begin(now, j); });
  for (int k = 0; k < row.steps; ++k) {
    const int t = row.position(k);
    DualNumber* const back = row.record(k);
    row.x = place(x, row.r, static_cast<long>(t) * of.steps.inputs);
    row.each([&](int j) { row.open(back, j); });
    __syncthreads();
    row.each([&](int j) { row.cell(back, j); });
    if (of.steps.unit == Unit::kGruBefore) {
      __syncthreads();
      row.each([&](int j) { row.gru_before(back, j); });
    }
    if (of.steps.sequences)
      row.each([&](int j) { put(out + static_cast<long>(t) * row.units + j, get(row.h + j)); });
  }
  row.each([&](int j) { row.end(out, j); });
  const long record = of.steps.record;
  for (long i = row.steps * record + threadIdx.x; i < of.steps.at_start; i += kThreads)
    put(row.tape + i, 0);
}

// ---- Backward ----

struct Backward : Row {
  __device__ Backward(const DualLayer& layer, const Duals& records, DualNumber* room)
      : Row(layer, records, room) {}
  __device__ static void add(DualNumber* to, Dual x) { put(to, get(to) + x); }

  // Gradients of the last states, and of steps that hold them; sums begin at 0.
  __device__ void begin(const Now& now, const DualNumber* dy, int j) const {
    const Steps& s = of.steps;
    Dual last = 0, cell = 0;
    if (s.sequences) {
      for (int t = steps; s.hold && t < s.steps; ++t)
        last += get(dy + static_cast<long>(t) * units + j);
      dy += static_cast<long>(s.steps) * units;
    } else {
      last += get(dy + j);
      dy += units;
    }
    if (s.returned) {
      last += get(dy + j);
      if (s.memory > 1) cell += get(dy + units + j);
    }
    put(h + j, last);
    put(c + j, cell);
    if (s.drops) draw(now, j);
  }

  __device__ void sum(int gate, int j, Dual x) const {
    add(tape + of.steps.at_sums + gate * units + j, x);
  }
  __device__ void second_sum(int gate, int j, Dual x) const {
    add(tape + of.steps.at_second_sums + gate * units + j, x);
  }

  __device__ void lstm(DualNumber* back, int j) const {
    DualNumber* const at = back + of.steps.at_gates + j;
    const Dual one = 1, in = get(at), forget = get(at + units), cell = get(at + 2 * units);
    const Dual out = get(at + 3 * units), before = get(back + units + j), up = get(h + j);
    const Dual now = tanh_(fma_(forget, before, in * cell));
    const Dual down = fma_(up * out, (one - now) * (one + now), get(c + j));
    const Dual of_gate[4] = {
        down * cell * (in * (one - in)), down * before * (forget * (one - forget)),
        down * in * ((one - cell) * (one + cell)), up * now * (out * (one - out))};
    put(c + j, down * forget);
#pragma unroll
    for (int g = 0; g < 4; ++g) {
      put(at + g * units, of_gate[g]);
      sum(g, j, of_gate[g]);
    }
  }
  // What h was before the step, as it is.
  __device__ Dual plain_state(const DualNumber* back, int j) const {
    return get(back + (of.steps.keeps_plain ? of.steps.at_plain : 0) + j);
  }
  __device__ void gru(DualNumber* back, int j) const {
    DualNumber *const at = back + of.steps.at_gates + j, *const two = back + of.steps.at_second + j;
    const Dual one = 1, reset = get(at), keep = get(at + units), cell = get(at + 2 * units);
    const Dual of_h = get(two + 2 * units), up = get(h + j);
    const Dual dn = up * (one - keep) * ((one - cell) * (one + cell));
    const Dual dk = up * (plain_state(back, j) - cell) * (keep * (one - keep));
    const Dual dr = dn * of_h * (reset * (one - reset)), dm = dn * reset;
    put(h + j, up * keep);
    put(at, dr), put(at + units, dk), put(at + 2 * units, dn);
    put(two, dr), put(two + units, dk), put(two + 2 * units, dm);
    sum(0, j, dr), sum(1, j, dk), sum(2, j, dn);
    second_sum(0, j, dr), second_sum(1, j, dk), second_sum(2, j, dm);
  }
  // First n and z, whose products by U say what r gets.
  __device__ void gru_before(DualNumber* back, int j) const {
    DualNumber* const at = back + of.steps.at_gates + j;
    const Dual one = 1, keep = get(at + units), cell = get(at + 2 * units), up = get(h + j);
    const Dual dn = up * (one - keep) * ((one - cell) * (one + cell));
    const Dual dk = up * (plain_state(back, j) - cell) * (keep * (one - keep));
    put(h + j, up * keep);
    put(at + 2 * units, dn);
    put(back + of.steps.at_third + 2 * units + j, dn);
    put(at + units, dk);
    sum(1, j, dk), sum(2, j, dn);
  }
  // `of_rh` is the gradient of r h, and becomes that of h by it.
  __device__ Dual reset(DualNumber* back, int j, Dual of_rh) const {
    DualNumber *const at = back + of.steps.at_gates + j, *const two = back + of.steps.at_second + j;
    const Dual r = get(at), dr = of_rh * get(back + j) * (r * (Dual(1) - r));
    put(at, dr);
    put(two, dr), put(two + units, get(at + units));
    put(two + 2 * units, 0), put(two + 3 * units, 0);
    sum(0, j, dr);
    return of_rh * r;
  }
  __device__ void plain_cell(DualNumber* back, int j) const {
    DualNumber* const at = back + of.steps.at_gates + j;
    const Dual y = get(at), one = 1;
    const Dual slope = !of.steps.relu ? (one - y) * (one + y) : y > Dual(0) ? one : Dual(0);
    const Dual dz = get(h + j) * slope;
    put(at, dz);
    sum(0, j, dz);
  }
  __device__ void cell(DualNumber* back, int j) const {
    switch (of.steps.unit) {
      case Unit::kLstm: return lstm(back, j);
      case Unit::kGru: return gru(back, j);
      case Unit::kGruBefore: return gru_before(back, j);
      default: return plain_cell(back, j);
    }
  }

  // Gradients of gates as U has them become that of h before the step.
  __device__ void go_on(const DualNumber* back, int j) const {
    const Steps& s = of.steps;
    const bool before = s.unit == Unit::kGruBefore, past = before || s.unit == Unit::kGru;
    const DualNumber* const dz = back + (s.unit == Unit::kGru ? s.at_second : s.at_gates);
    const bool apart = before || s.drops;
    const Dual init = before ? get(by_u + j) : past && !apart ? get(h + j) : Dual(0);
    const Dual found = meet_turned(dz, 0, (before ? 2 : s.gates) * units, of.u, j, init);
    if (!apart) return put(h + j, found);
    const Dual by = s.drops ? found * get(mask + j) : found;
    put(h + j, past ? get(h + j) + by : by);
  }
};

__global__ void __launch_bounds__(kThreads)
    walk_back(Now now, DualLayer of, Duals dy, DualNumber* room, Duals tape) {
  const Backward row(of, tape, room);
  const Steps& s = of.steps;
  const DualNumber* const up = place(dy, row.r, 0);
  for (int i = s.at_start + static_cast<int>(threadIdx.x); i < s.tape; i += kThreads)
    put(row.tape + i, 0);
  __syncthreads();
  row.each([&](int j) { row.begin(now, up, j); });
  for (int k = row.steps - 1; k >= 0; --k) {
    DualNumber* const back = row.record(k);
    const DualNumber* const of_step = up + static_cast<long>(row.position(k)) * row.units;
    row.each([&](int j) {
      if (s.sequences) Backward::add(row.h + j, get(of_step + j));
      row.cell(back, j);
    });
    __syncthreads();
    if (s.unit == Unit::kGruBefore) {
      row.each([&](int j) {
        const int first = 2 * row.units, last = 3 * row.units;
        put(row.by_u + j,
            row.reset(back, j, meet_turned(back + s.at_gates, first, last, of.u, j, Dual(0))));
      });
      __syncthreads();
    }
    row.each([&](int j) { row.go_on(back, j); });
  }
  row.each([&](int j) {
    if (!s.states) return;
    DualNumber* const to = row.tape + s.at_start + s.lengths + j;
    put(to, get(row.h + j));
    if (s.memory > 1) put(to + row.units, get(row.c + j));
  });
}

struct InputGrad {
  DualLayer of;
  Duals tape, dx;
  bool accumulate;
  STEEP_HD void operator()(int r, int c) const {
    const Steps& s = of.steps;
    const int t = c / s.inputs, i = c % s.inputs;
    DualNumber* const to = place(dx, r, c);
    if (t < steps_of(of, r)) {
      const DualNumber* const dz = place(tape, r, static_cast<long>(t) * s.record + s.at_gates);
      const Dual init = accumulate ? get(to) : Dual(0);
      put(to, meet_turned(dz, 0, s.gates * s.units, of.w, i, init));
    } else if (!accumulate) {
      put(to, 0);
    }
  }
};

}  // namespace

void recurrent(const Place& at, const DualLayer& of, const Duals& x, const Duals& tape,
               DualNumber* room, const Duals& y) {
  start(at.stream, dim3(static_cast<unsigned>(at.rows)), dim3(kThreads), walk, at.now, of, x, tape,
        room, y);
}

void recurrent_grad(const Place& at, const DualLayer& of, const Duals& dy, DualNumber* room,
                    const Duals& tape) {
  start(at.stream, dim3(static_cast<unsigned>(at.rows)), dim3(kThreads), walk_back, at.now, of, dy,
        room, tape);
}

void recurrent_input_grad(const Place& at, const DualLayer& of, const Duals& tape, const Duals& dx,
                          bool accumulate) {
  each(at, of.steps.steps * of.steps.inputs, InputGrad{of, tape, dx, accumulate});
}

}  // namespace steep::cuda
