// Recurrent layers forward, a block some rows through all steps: h goes from step to step in shared memory, c stays
// with the thread that has its unit, and a barrier is all that a step waits for.
#include "cuda/kernels/recurrent_rows.cuh"

namespace steep::cuda {

int rows_that_fit(const Weight& w, bool narrow, long others) {
  if (narrow) return 0;
  int device = 0, most = 0;
  check(cudaGetDevice(&device), "a device");
  check(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
        "shared memory");
  const long bytes = w.panels.width() * static_cast<long>(sizeof(float));
  const long rows = (most - others) / bytes;
  return static_cast<int>(rows >= w.panels.rows ? w.panels.rows : rows > 0 ? rows / 4 * 4 : 0);
}

namespace {

struct Walk {
  Steps s;
  Now now;
  int rows;
  Staged u;
  View start, tape, y;
  Biases biases;
};

// Numbers of shared memory besides U: h of a step and of the next one, and r h.
int room(const Steps& s, int together) {
  return (s.unit == Unit::kGruBefore ? 3 : 2) * together * whole_of(s.units, 4);
}

template <Unit kUnit, int kRows>
__global__ void __launch_bounds__(kMostThreads<kRows>, 1) walk(const Walk w) {
  constexpr int kGates = kGatesOf<kUnit>;
  constexpr int kFirst = kUnit == Unit::kGruBefore ? 2 : kGates;  // whose sums come first
  STEEP_DYNAMIC_SHARED(shared, float);
  const Steps& s = w.s;
  const Mine me(s.units, kRows);
  const int all = me.together * me.ld;
  float* const held = shared + w.u.rows * w.u.w.panels.width();  // all h of a step, and of the next
  float* const mine = held + me.group * kRows * me.ld;           // my rows of them
  float* const rh = mine + 2 * all;
  stage(w.u, shared);

  Column32 columns[kGates];
#pragma unroll
  for (int g = 0; g < kGates; ++g)
    columns[g] = Column32(w.u, shared, g * s.units + (me.there ? me.j : 0));
  const float of_n =
      kUnit == Unit::kGru && me.there && w.biases.of_h ? w.biases.of_h[2 * s.units + me.j] : 0.0f;
  int count[kRows];
  State state[kRows];
  float mask[kRows];
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    const int r = me.first + i;
    const bool there = me.there && r < w.rows;
    count[i] = there ? count_of(s, w.start, r) : 0;
    mask[i] = there ? mask_of(s, w.now, r, me.j) : 0.0f;
    state[i] = there ? first_state(s, w.start, r, me.j, mask[i]) : State{};
    if (me.there) mine[i * me.ld + me.j] = state[i].taken;
  }
  const int most = most_steps(s, w.start, me.together, w.rows);
  const auto at = [&](int i, int k) {
    return record(s, w.tape, me.first + i, position(s, count[i], k)) + me.j;
  };
  float next[kGates][kRows];  // what x makes of the gates of the next step, on its way
  const auto fetch = [&](int k) {
#pragma unroll
    for (int i = 0; i < kRows; ++i)
#pragma unroll
      for (int g = 0; g < kGates; ++g)
        next[g][i] = k < count[i] ? at(i, k)[s.at_gates + g * s.units] : 0.0f;
  };
  fetch(0);
  __syncthreads();

  for (int k = 0; k < most; ++k) {
    float sum[kFirst][kRows], of_x[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
#pragma unroll
      for (int g = 0; g < kFirst; ++g) sum[g][i] = next[g][i];
      of_x[i] = next[kGates - 1][i];
      if (kUnit == Unit::kGru) sum[kFirst - 1][i] = of_n;
    }
    fetch(k + 1);
    add_products(sum, mine + (k & 1) * all, me.ld, columns, w.u.rows, 0, s.units);
    float last[1][kRows];  // GRUBefore: n, once r h of all units is there
    if constexpr (kUnit == Unit::kGruBefore) {
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        sum[0][i] = logistic_(sum[0][i]);
        sum[1][i] = logistic_(sum[1][i]);
        last[0][i] = of_x[i];
        if (me.there) rh[i * me.ld + me.j] = sum[0][i] * state[i].taken;
      }
      __syncthreads();
      add_products(last, rh, me.ld, columns + 2, w.u.rows, 0, s.units);
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      if (k < count[i]) {
        float z[kGates];
#pragma unroll
        for (int g = 0; g < kFirst; ++g) z[g] = sum[g][i];
        const float of_h = kUnit == Unit::kGru ? sum[kFirst - 1][i] : 0.0f;
        if (kUnit == Unit::kGru) z[kGates - 1] = of_x[i];
        if constexpr (kUnit == Unit::kGruBefore) z[2] = last[0][i];
        State& now = state[i];
        float* const to = at(i, k);
        if (s.keeps) {
          keep_state<kUnit>(s, to, now);
          if (kUnit == Unit::kGruBefore) to[s.units] = sum[0][i] * now.taken;
        }
        go<kUnit>(s, z, of_h, now);
        if (s.keeps) keep_gates<kUnit>(s, to, z, of_h);
        now.taken = taken(s, now.h, mask[i]);
        if (s.sequences) {
          const int r = me.first + i, t = position(s, count[i], k);
          w.y.data[r * w.y.ld + static_cast<long>(t) * s.units + me.j] = now.h;
        }
      }
      if (me.there) mine[((k + 1) & 1) * all + i * me.ld + me.j] = state[i].taken;
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    const int r = me.first + i;
    if (me.there && r < w.rows) finish(s, r, me.j, count[i], state[i], w.tape, w.y);
  }
}

}  // namespace

void recurrent(const Place& at, const Steps& s, const View& start, const Gates& u,
               const Biases& biases, const View& tape, const View& y) {
  if (!at_once(s.columns(), s.units)) return recurrent_by_steps(at, s, start, u, biases, tape, y);
  const Walk w{s, at.now, at.rows, {u.w, u.narrow, 0}, start, tape, y, biases};
  take_rows(at, w, &Walk::u, room, [&]<Unit kUnit, int kRows>() { return walk<kUnit, kRows>; });
}

}  // namespace steep::cuda
