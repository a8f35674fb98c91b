// Recurrent layers backward, a block some rows from their last step to their first: gradients of h and c stay with
// the thread that has the unit, those before the gates go to all others in shared memory.
#include "cuda/kernels/recurrent_rows.cuh"

namespace steep::cuda {

namespace {

struct WalkBack {
  Steps s;
  Now now;
  int rows;
  Staged turned;  // U^T
  View start, tape, dy;
};

// Numbers of shared memory besides U^T: gradients before the gates of two steps.
int room(const Steps& s, int together) { return 2 * together * s.gates * whole_of(s.units, 4); }

template <Unit kUnit, int kRows>
__global__ void __launch_bounds__(kMostThreads<kRows>, 1) walk_back(const WalkBack w) {
  constexpr int kGates = kGatesOf<kUnit>;
  STEEP_DYNAMIC_SHARED(shared, float);
  const Steps& s = w.s;
  const Mine me(s.units, kRows);
  const int wide = kGates * me.ld;  // of a row: a gate begins on 16 bytes
  float* const mine = shared + w.turned.rows * w.turned.w.panels.width() + me.group * kRows * wide;
  const Column32 column(w.turned, shared, me.there ? me.j : 0);
  stage(w.turned, shared);

  int count[kRows];
  float mask[kRows], dh[kRows], dc[kRows], sums[kGates][kRows] = {}, second[kRows] = {};
  Left<kUnit> left[kRows];  // of the step to come
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    const int r = me.first + i;
    const bool there = me.there && r < w.rows;
    count[i] = there ? count_of(s, w.start, r) : 0;
    mask[i] = there ? mask_of(s, w.now, r, me.j) : 0.0f;
    dh[i] = dc[i] = 0.0f;
    if (!there) continue;
    last_gradients(s, r, me.j, count[i], w.dy, dh[i], dc[i]);
    float* const row = record(s, w.tape, r, 0);
    for (int e = s.at_start + me.j; e < s.tape; e += s.units) row[e] = 0.0f;
  }
  const auto at = [&](int i, int k) {
    return record(s, w.tape, me.first + i, position(s, count[i], k)) + me.j;
  };
  const auto fetch = [&](int k) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      if (k < 0 || k >= count[i]) continue;
      const int r = me.first + i;
      left[i].read(s, at(i, k), dy_of(s, w.dy, r, position(s, count[i], k), me.j));
    }
  };
  // sum += the gradients before gate g times its rows of U^T
  const auto multiply = [&](float (&sum)[1][kRows], int k, int g) {
    add_products(sum, mine + (k & 1) * me.together * wide + g * me.ld, wide, &column, w.turned.rows,
                 g * s.units, s.units);
  };
  const auto pass_on = [&](int k, int i, int g, float value) {
    mine[(k & 1) * me.together * wide + i * wide + g * me.ld + me.j] = value;
  };
  const int most = most_steps(s, w.start, me.together, w.rows);
  fetch(most - 1);
  for (int k = most - 1; k >= 0; --k) {
    float sum[1][kRows];
    Down<kUnit> down[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      down[i] = {};
      if (k < count[i]) {
        if (s.sequences) dh[i] += left[i].dy;
        down[i].go_back(s, left[i], dh[i], dc[i]);
      }
      if (me.there) {
#pragma unroll
        for (int g = 0; g < kGates; ++g) pass_on(k, i, g, down[i].of_u[g]);
      }
      sum[0][i] = 0.0f;
    }
    __syncthreads();
    if constexpr (kUnit == Unit::kGruBefore) {
      multiply(sum, k, 2);
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        if (k < count[i]) down[i].reset_back(left[i], sum[0][i]);
        if (me.there) pass_on(k, i, 0, down[i].of_u[0]);
      }
      __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      if (k >= count[i]) continue;
      down[i].keep(s, at(i, k));
#pragma unroll
      for (int g = 0; g < kGates; ++g) sums[g][i] += down[i].of_w[g];
      if (kUnit == Unit::kGru) second[i] += down[i].of_u[2];
      if (kIsGru<kUnit> && !apart<kUnit>(s)) sum[0][i] = dh[i];
    }
    if (k == 0 && !s.states) break;  // nobody asks
    fetch(k - 1);
#pragma unroll
    for (int g = 0; g < (kUnit == Unit::kGruBefore ? 2 : kGates); ++g) multiply(sum, k, g);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      if (k < count[i])
        dh[i] = apart<kUnit>(s) ? joined<kUnit>(s, dh[i], sum[0][i], mask[i]) : sum[0][i];
    }
  }
  __syncthreads();  // zeros behind the records are there
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    const int r = me.first + i;
    if (!me.there || r >= w.rows) continue;
    float* const row = record(s, w.tape, r, 0) + me.j;
#pragma unroll
    for (int g = 0; g < kGates; ++g) row[s.at_sums + g * s.units] = sums[g][i];
    if (kUnit == Unit::kGru) {
      row[s.at_second_sums] = sums[0][i];
      row[s.at_second_sums + s.units] = sums[kGates > 1 ? 1 : 0][i];
      row[s.at_second_sums + 2 * s.units] = second[i];
    }
    if (!s.states) continue;
    row[s.at_start + s.lengths] = dh[i];
    if (s.memory > 1) row[s.at_start + s.lengths + s.units] = dc[i];
  }
}

}  // namespace

void recurrent_grad(const Place& at, const Steps& s, const View& dy, const Weight& turned,
                    const View& start, const View& aside, const View& tape) {
  if (!at_once(s.columns(), s.units))
    return recurrent_grad_by_steps(at, s, dy, turned, start, aside, tape);
  const WalkBack w{s, at.now, at.rows, {turned, false, 0}, start, tape, dy};
  take_rows(at, w, &WalkBack::turned, room,
            [&]<Unit kUnit, int kRows>() { return walk_back<kUnit, kRows>; });
}

}  // namespace steep::cuda
