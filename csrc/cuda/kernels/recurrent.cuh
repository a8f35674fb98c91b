// The formulas of recurrent cells, forward and backward, of one row and unit, and where their numbers lie: the
// CPU's, operation by operation. Who goes through the steps, and the products by U, are in the .cu files.
#pragma once
#include "cuda/kernels/drawn.cuh"
#include "cuda/kernels/recurrent.h"

namespace steep::cuda {

template <Unit kUnit>
constexpr int kGatesOf = kUnit == Unit::kPlain  ? 1
                         : kUnit == Unit::kLstm ? 4
                                                : 3;
template <Unit kUnit>
constexpr bool kIsGru = kUnit == Unit::kGru || kUnit == Unit::kGruBefore;

// Calls f with the unit as a constant.
template <class F> void with_unit(Unit unit, const F& f) {
  switch (unit) {
    case Unit::kPlain: return f.template operator()<Unit::kPlain>();
    case Unit::kLstm: return f.template operator()<Unit::kLstm>();
    case Unit::kGru: return f.template operator()<Unit::kGru>();
    case Unit::kGruBefore: return f.template operator()<Unit::kGruBefore>();
  }
}

// How many steps a row has.
STEEP_HD int count_of(const Steps& s, const View& start, int r) {
  if (!s.lengths) return s.steps;
  const float n = start.data[r * start.ld];
  return !(n > 0.0f) ? 0 : n > static_cast<float>(s.steps) ? s.steps : static_cast<int>(n);
}
// Which position of a row of so many steps its step k is.
STEEP_HD int position(const Steps& s, int count, int k) { return s.reverse ? count - 1 - k : k; }
STEEP_HD float* record(const Steps& s, const View& tape, int r, int position) {
  return tape.data + r * tape.ld + static_cast<long>(position) * s.record;
}

// What U takes of h of this unit.
__device__ __forceinline__ float mask_of(const Steps& s, const Now& now, int r, int j) {
  if (!s.drops) return 1.0f;
  const Philox4 bits = words_of(s.drawn, row_of(now), r, j / 4);
  const uint32_t low = j % 2 ? bits.word[1] : bits.word[0];
  const uint32_t high = j % 2 ? bits.word[3] : bits.word[2];
  return (j % 4 < 2 ? low : high) >= s.threshold ? s.scale : 0.0f;
}

// h and c, and h as U takes it.
struct State { float h, c, taken; };
STEEP_HD float taken(const Steps& s, float h, float mask) { return s.drops ? h * mask : h; }
STEEP_HD State first_state(const Steps& s, const View& start, int r, int j, float mask) {
  State state{};
  if (s.states) {
    const float* const from = start.data + r * start.ld + s.lengths + j;
    state.h = from[0];
    if (s.memory > 1) state.c = from[s.units];
  }
  state.taken = taken(s, state.h, mask);
  return state;
}

// ---- Forward ----

// Sums of the gates become gates, and h and c those after the step; of_h is what n has of h by U.
template <Unit kUnit>
STEEP_HD void go(const Steps& s, float (&z)[kGatesOf<kUnit>], float of_h, State& to) {
  if constexpr (kUnit == Unit::kPlain) {
    to.h = z[0] = s.relu ? relu_(z[0]) : tanh_(z[0]);
  } else if constexpr (kUnit == Unit::kLstm) {
    z[0] = logistic_(z[0]);
    z[1] = logistic_(z[1]);
    z[2] = tanh_(z[2]);
    z[3] = logistic_(z[3]);
    to.c = fma_(z[1], to.c, z[0] * z[2]);
    to.h = z[3] * tanh_(to.c);
  } else {
    if constexpr (kUnit == Unit::kGru) {
      z[0] = logistic_(z[0]);
      z[1] = logistic_(z[1]);
      z[2] = tanh_(fma_(z[0], of_h, z[2]));
    } else {  // whose first two are done before n is summed
      z[2] = tanh_(z[2]);
    }
    to.h = fma_(z[1], to.h - z[2], z[2]);
  }
}

// What the way back needs: `to` is the unit's place in the record; the state is that before the step.
template <Unit kUnit>
STEEP_HD void keep_state(const Steps& s, float* to, const State& state) {
  to[0] = state.taken;
  if (kUnit == Unit::kLstm) to[s.units] = state.c;
  if (s.keeps_plain) to[s.at_plain] = state.h;
}
template <Unit kUnit>
__device__ __forceinline__ void keep_gates(const Steps& s, float* to,
                                           const float (&z)[kGatesOf<kUnit>], float of_h) {
#pragma unroll
  for (int g = 0; g < kGatesOf<kUnit>; ++g) to[s.at_gates + g * s.units] = z[g];
  if (kUnit == Unit::kGru) to[s.at_second + 2 * s.units] = of_h;
}

// Steps that a row has not, the last one's result, states that are asked for, and the rest of the records.
STEEP_HD void finish(const Steps& s, int r, int j, int count, const State& last, const View& tape,
                     const View& y) {
  float* out = y.data + r * y.ld + j;
  if (s.sequences) {
    for (int t = count; t < s.steps; ++t)
      out[static_cast<long>(t) * s.units] = s.hold ? last.h : 0.0f;
    out += static_cast<long>(s.steps) * s.units;
  } else {
    out[0] = last.h;
    out += s.units;
  }
  if (s.returned) {
    out[0] = last.h;
    if (s.memory > 1) out[s.units] = last.c;
  }
  if (!s.keeps) return;
  float* const row = record(s, tape, r, 0);
  for (long e = static_cast<long>(count) * s.record + j; e < s.at_start; e += s.units)
    row[e] = 0.0f;
}

// ---- Backward ----

// What a step left of a unit, and the gradient of its result.
template <Unit kUnit> struct Left {
  float h = 0, before = 0, of_h = 0, dy = 0;  // before: c, or r h
  float z[kGatesOf<kUnit>] = {};
  __device__ __forceinline__ void read(const Steps& s, const float* from, const float* dy_from) {
    h = s.keeps_plain ? from[s.at_plain] : from[0];
    if (kUnit == Unit::kLstm) before = from[s.units];
    if (kUnit == Unit::kGruBefore) before = from[0];  // h as U takes it
    if (kUnit == Unit::kGru) of_h = from[s.at_second + 2 * s.units];
#pragma unroll
    for (int g = 0; g < kGatesOf<kUnit>; ++g) z[g] = from[s.at_gates + g * s.units];
    dy = dy_from ? dy_from[0] : 0.0f;
  }
};

// Gradients before the gates, as W and as U has them, and of h and c before the step, past U.
template <Unit kUnit> struct Down {
  float of_w[kGatesOf<kUnit>], of_u[kGatesOf<kUnit>];

  STEEP_HD void go_back(const Steps& s, const Left<kUnit>& at, float& dh, float& dc) {
    const float one = 1.0f;
    if constexpr (kUnit == Unit::kPlain) {
      const float y = at.z[0];
      const float slope = s.relu ? (y > 0.0f ? 1.0f : 0.0f) : (one - y) * (one + y);
      of_w[0] = of_u[0] = dh * slope;
    } else if constexpr (kUnit == Unit::kLstm) {
      const float in = at.z[0], forget = at.z[1], cell = at.z[2], out = at.z[3];
      const float c = tanh_(fma_(forget, at.before, in * cell));
      const float down = fma_(dh * out, (one - c) * (one + c), dc);
      of_w[0] = of_u[0] = down * cell * (in * (one - in));
      of_w[1] = of_u[1] = down * at.before * (forget * (one - forget));
      of_w[2] = of_u[2] = down * in * ((one - cell) * (one + cell));
      of_w[3] = of_u[3] = dh * c * (out * (one - out));
      dc = down * forget;
    } else {
      const float reset = at.z[0], keep = at.z[1], cell = at.z[2];
      const float dn = dh * (one - keep) * ((one - cell) * (one + cell));
      const float dk = dh * (at.h - cell) * (keep * (one - keep));
      dh *= keep;
      of_w[1] = of_u[1] = dk;
      of_w[2] = of_u[2] = dn;
      of_w[0] = of_u[0] = 0.0f;  // of GRUBefore: until n has come back by U
      if constexpr (kUnit == Unit::kGru) {
        of_w[0] = of_u[0] = dn * at.of_h * (reset * (one - reset));
        of_u[2] = dn * reset;
      }
    }
  }
  // GRUBefore: of_rh is the gradient of r h, and becomes that of h by it.
  STEEP_HD void reset_back(const Left<kUnit>& at, float& of_rh) {
    const float r = at.z[0];
    of_w[0] = of_u[0] = of_rh * at.before * (r * (1.0f - r));
    of_rh *= r;
  }
  __device__ __forceinline__ void keep(const Steps& s, float* to) const {
    constexpr int kGates = kGatesOf<kUnit>;
#pragma unroll
    for (int g = 0; g < kGates; ++g) to[s.at_gates + g * s.units] = of_w[g];
    if constexpr (kUnit == Unit::kGru) {
#pragma unroll
      for (int g = 0; g < kGates; ++g) to[s.at_second + g * s.units] = of_u[g];
    }
    if constexpr (kUnit == Unit::kGruBefore) {  // r z 0 of h, 0 0 n of r h
      to[s.at_second] = of_u[0];
      to[s.at_second + s.units] = of_u[1];
      to[s.at_third] = to[s.at_third + s.units] = 0.0f;
      to[s.at_third + 2 * s.units] = of_u[2];
    }
  }
};

// Gradients of the last states, and of steps that hold them.
STEEP_HD void last_gradients(const Steps& s, int r, int j, int count, const View& dy, float& dh,
                             float& dc) {
  const float* from = dy.data + r * dy.ld + j;
  dh = dc = 0.0f;
  if (s.sequences) {
    for (int t = count; s.hold && t < s.steps; ++t) dh += from[static_cast<long>(t) * s.units];
    from += static_cast<long>(s.steps) * s.units;
  } else {
    dh += from[0];
    from += s.units;
  }
  if (s.returned) {
    dh += from[0];
    if (s.memory > 1) dc += from[s.units];
  }
}
STEEP_HD const float* dy_of(const Steps& s, const View& dy, int r, int position, int j) {
  return s.sequences ? dy.data + r * dy.ld + static_cast<long>(position) * s.units + j : nullptr;
}

// Of h, with what has come back by U; whether there is a way past U.
template <Unit kUnit> STEEP_HD float joined(const Steps& s, float dh, float of_u, float mask) {
  const float of = s.drops ? of_u * mask : of_u;
  return kIsGru<kUnit> ? dh + of : of;
}
// Whether what comes back by U is summed by itself, or onto what goes past it.
template <Unit kUnit> STEEP_HD bool apart(const Steps& s) {
  return kUnit == Unit::kGruBefore || s.drops;
}

}  // namespace steep::cuda
