// Recurrent layers whose U is too large for a block: every step is a tiled product of all rows by U, and one or
// two passes over the units. States go from step to step in the records.
#include "cuda/kernels/each.cuh"
#include "cuda/kernels/product.cuh"
#include "cuda/kernels/recurrent.cuh"

namespace steep::cuda {

namespace {

// What all kernels of a step see.
struct Step {
  Steps s;
  Now now;
  int k;
  View start, tape;
  STEEP_HD int count(int r) const { return count_of(s, start, r); }
  // Of a row without this step: its first record, of which nothing is used.
  STEEP_HD float* at(int r, int step) const {
    const int n = count(r);
    return record(s, tape, r, step < n ? position(s, n, step) : 0);
  }
};

// ---- Products ----

struct OfRecord {  // A(m, k): numbers of the record of this step, from `from` on
  static constexpr bool kFastK = true;
  using Line = const float*;
  Step step;
  int from, rows;
  STEEP_HD Line line(int m) const { return step.at(m < rows ? m : 0, step.k) + from; }
  STEEP_HD float at(Line line, int k) const { return line[k]; }
};
struct PackedFrom {  // B(k, n) = w(k + row, n + column)
  static constexpr bool kFastK = false;
  using Line = Strided;
  Weight w;
  int row, column;
  STEEP_HD Line line(int n) const {
    const long step = w.panels.width((n + column) / kPanel);
    return {w.data + w.panels.at(0, n + column) + row * step, step};
  }
  STEEP_HD float at(Line line, int k) const { return line.data[k * line.step]; }
};
// Gates from `column` on; what n has of h lies apart where r multiplies it.
struct IntoGates {
  Step step;
  int column, apart;
  const float* bias;  // of those that lie apart
  STEEP_HD float* at(int m, int n) const {
    const Steps& s = step.s;
    return step.at(m, step.k) + (n < apart ? s.at_gates : s.at_second) + column + n;
  }
  STEEP_HD float init(int m, int n) const {
    if (n >= apart) return bias ? bias[n] : 0.0f;
    return step.k < step.count(m) ? *at(m, n) : 0.0f;
  }
  STEEP_HD void store(int m, int n, float sum) const {
    if (step.k < step.count(m)) *at(m, n) = sum;
  }
};
struct IntoRows {  // rows of units; those without this step stay as they are
  Step step;
  View to;
  bool accumulate;
  STEEP_HD float init(int m, int n) const { return accumulate ? at(to, m, n) : 0.0f; }
  STEEP_HD void store(int m, int n, float sum) const {
    if (step.k < step.count(m)) to.data[m * to.ld + n] = sum;
  }
};

// ---- Forward ----

// States before the first step; rows without any are done.
struct Begin {
  Step of;
  View y;
  template <Unit kUnit> STEEP_HD void put(int r, int j, int k, const State& state) const {
    keep_state<kUnit>(of.s, of.at(r, k) + j, state);
  }
};
template <Unit kUnit> struct Beginning : Begin {
  __device__ __forceinline__ void operator()(int r, int j) const {
    const State state = first_state(of.s, of.start, r, j, mask_of(of.s, of.now, r, j));
    of.count(r) > 0 ? put<kUnit>(r, j, 0, state) : finish(of.s, r, j, 0, state, of.tape, y);
  }
};

// GRUBefore: r and z, and r h.
struct Reset {
  Step of;
  STEEP_HD void operator()(int r, int j) const {
    if (of.k >= of.count(r)) return;
    float* const to = of.at(r, of.k) + j;
    float* const z = to + of.s.at_gates;
    z[0] = logistic_(z[0]);
    z[of.s.units] = logistic_(z[of.s.units]);
    to[of.s.units] = z[0] * to[0];
  }
};

template <Unit kUnit> struct Going : Begin {
  __device__ __forceinline__ void operator()(int r, int j) const {
    const Steps& s = of.s;
    const int count = of.count(r), k = of.k;
    if (k >= count) return;
    float* const to = of.at(r, k) + j;
    float z[kGatesOf<kUnit>];
#pragma unroll
    for (int g = 0; g < kGatesOf<kUnit>; ++g) z[g] = to[s.at_gates + g * s.units];
    const float of_h = kUnit == Unit::kGru ? to[s.at_second + 2 * s.units] : 0.0f;
    State state{s.keeps_plain ? to[s.at_plain] : to[0], kUnit == Unit::kLstm ? to[s.units] : 0.0f,
                0.0f};
    go<kUnit>(s, z, of_h, state);
    keep_gates<kUnit>(s, to, z, of_h);
    state.taken = taken(s, state.h, mask_of(s, of.now, r, j));
    if (s.sequences) {
      const long t = position(s, count, k);
      y.data[r * y.ld + t * s.units + j] = state.h;
    }
    k + 1 < count ? put<kUnit>(r, j, k + 1, state) : finish(s, r, j, count, state, of.tape, y);
  }
};

// ---- Backward ----

// Gradients of h and c, and what comes back by U, in rows of so many units.
struct Aside {
  Step of;
  View dy, dh;
  int dc, of_u;
};

struct BeginBack : Aside {
  STEEP_HD void operator()(int r, int j) const {
    float* const to = dh.data + r * dh.ld + j;
    last_gradients(of.s, r, j, of.count(r), dy, to[0], to[dc]);
    to[of_u] = 0.0f;
    float* const row = record(of.s, of.tape, r, 0);
    for (int e = of.s.at_start + j; e < of.s.tape; e += of.s.units) row[e] = 0.0f;
  }
};

template <Unit kUnit> struct GoingBack : Aside {
  // dh with what came back from the step behind this one.
  __device__ __forceinline__ float come_back(int r, int j, int count) const {
    const float* const from = dh.data + r * dh.ld + j;
    if (!apart<kUnit>(of.s) || of.k + 1 >= count) return from[0];
    return joined<kUnit>(of.s, from[0], from[of_u], mask_of(of.s, of.now, r, j));
  }
  __device__ __forceinline__ void operator()(int r, int j) const {
    const Steps& s = of.s;
    const int count = of.count(r);
    float* const to = dh.data + r * dh.ld + j;
    float up = come_back(r, j, count), cell = to[dc];
    if (of.k < 0) {  // the first states
      float* const row = record(s, of.tape, r, 0) + s.at_start + s.lengths + j;
      row[0] = up;
      if (s.memory > 1) row[s.units] = cell;
      return;
    }
    if (of.k >= count) return;
    Left<kUnit> left;
    float* const at = of.at(r, of.k) + j;
    left.read(s, at, dy_of(s, dy, r, position(s, count, of.k), j));
    if (s.sequences) up += left.dy;
    Down<kUnit> down;
    down.go_back(s, left, up, cell);
    to[0] = up;
    to[dc] = cell;
    if constexpr (kUnit == Unit::kGruBefore) {  // r's place is r until the product is there
      down.of_w[0] = left.z[0];
      down.keep(s, at);
    } else {
      down.keep(s, at);
      add_up(r, j, down);
    }
  }
  __device__ __forceinline__ void add_up(int r, int j, const Down<kUnit>& down) const {
    float* const row = record(of.s, of.tape, r, 0) + j;
#pragma unroll
    for (int g = 0; g < kGatesOf<kUnit>; ++g) {
      row[of.s.at_sums + g * of.s.units] += down.of_w[g];
      if (kUnit == Unit::kGru) row[of.s.at_second_sums + g * of.s.units] += down.of_u[g];
    }
  }
};
// GRUBefore: what comes back of r h is r's, and h's.
struct ResetBack : GoingBack<Unit::kGruBefore> {
  __device__ __forceinline__ void operator()(int r, int j) const {
    const Steps& s = of.s;
    if (of.k >= of.count(r)) return;
    float* const at = of.at(r, of.k) + j;
    Left<Unit::kGruBefore> left;
    left.read(s, at, nullptr);
    Down<Unit::kGruBefore> down;
    down.of_w[1] = down.of_u[1] = left.z[1];
    down.of_w[2] = down.of_u[2] = left.z[2];
    down.reset_back(left, dh.data[r * dh.ld + of_u + j]);
    down.keep(s, at);
    add_up(r, j, down);
  }
};

}  // namespace

void recurrent_by_steps(const Place& at, const Steps& s, const View& start, const Gates& u,
                        const Biases& biases, const View& tape, const View& y) {
  const int units = s.units, whole = s.unit == Unit::kGruBefore ? 2 * units : s.columns();
  const int apart = s.unit == Unit::kGru ? 2 * units : whole;
  const auto multiply = [&](const Step& step, int from, int column, int n) {
    run_product(at, Sizes{at.rows, n, units}, OfRecord{step, from, at.rows},
                PackedFrom{u.w, 0, column}, IntoGates{step, column, apart, biases.of_h});
  };
  with_unit(s.unit, [&]<Unit kUnit>() {
    each(at, units, Beginning<kUnit>{Step{s, at.now, 0, start, tape}, y});
    for (int k = 0; k < s.steps; ++k) {
      const Step step{s, at.now, k, start, tape};
      multiply(step, 0, 0, whole);
      if (kUnit == Unit::kGruBefore) {
        each(at, units, Reset{step});
        multiply(step, units, 2 * units, units);
      }
      each(at, units, Going<kUnit>{step, y});
    }
  });
}

void recurrent_grad_by_steps(const Place& at, const Steps& s, const View& dy, const Weight& turned,
                             const View& start, const View& aside, const View& tape) {
  const int units = s.units, wide = aside.columns / 3;
  with_unit(s.unit, [&]<Unit kUnit>() {
    constexpr bool kBefore = kUnit == Unit::kGruBefore;
    const bool own = apart<kUnit>(s);
    const View to{aside.data + (own ? 2 * wide : 0), aside.ld, units};
    const auto of = [&](int k) {
      return Aside{Step{s, at.now, k, start, tape}, dy, aside, wide, 2 * wide};
    };
    // to (+)= gradients of some gates times their rows of U^T
    const auto multiply = [&](int k, int from, int gate, int count, bool accumulate) {
      const Step step{s, at.now, k, start, tape};
      run_product(at, Sizes{at.rows, units, count * units}, OfRecord{step, from, at.rows},
                  PackedFrom{turned, gate * units, 0}, IntoRows{step, to, accumulate});
    };
    each(at, units, BeginBack{of(0)});
    for (int k = s.steps - 1; k >= 0; --k) {
      each(at, units, GoingBack<kUnit>{of(k)});
      if (kBefore) {
        multiply(k, s.at_third + 2 * units, 2, 1, false);
        each(at, units, ResetBack{of(k)});
      }
      if (k == 0 && !s.states) break;  // nobody asks
      const bool past = kBefore || (kIsGru<kUnit> && !own);
      multiply(k, s.at_second, 0, kBefore ? 2 : s.gates, past);
    }
    if (s.states) each(at, units, GoingBack<kUnit>{of(-1)});
  });
}

}  // namespace steep::cuda
