// The gradients of losses in dual numbers, in the order of the CPU's loops: a row by a thread or by half a warp. Their
// values nobody asks for. The formulas live in losses/.
#include "cuda/kernels/tangent.cuh"
// The line above comes first.
#include "losses/list.h"

namespace steep::cuda {

namespace {

// What every kernel is given.
struct Rows {
  Now now;
  int rows;
  Duals z;
  Truth truth;
  double option;
  DualLoss of;
  Duals dz;
};

// Row i of what a loss takes: a sample's, or one of its positions'.
struct Taken {
  long at;  // among all positions of the data set
  const DualNumber* z;
  DualNumber* dz;  // may be z
  double weight = 1, factor;
  int columns, label;
  bool counts, curvature;
  __device__ Taken(const Rows& a, int i) : curvature(a.of.curvature) {
    const int each = a.truth.positions > 0 ? a.truth.positions : 1, r = i / each, p = i % each;
    const long sample = a.truth.order[r];
    columns = a.z.columns / each;
    at = sample * each + p;
    z = place(a.z, r, static_cast<long>(p) * columns);
    dz = place(a.dz, r, static_cast<long>(p) * columns);
    factor = *a.of.factor;
    if (a.truth.positions > 0) {
      if (a.truth.each) weight = static_cast<double>(a.truth.each[at]);
      const TermRow& term = a.now.terms[static_cast<long>(here(a.now)) * a.now.count + a.of.number];
      factor *= term.share > 0 ? term.share : 1;
    } else if (a.truth.weights) {
      weight = a.truth.weights[sample];
    }
    label = a.truth.labels ? a.truth.labels[sample * a.truth.apart + p] : 0;
    counts = label >= 0;
    label = counts ? label : 0;
  }
  // What does not count leaves nothing, whatever is there.
  __device__ void leave(int c, Dual grad) const {
    put(dz + c, !counts ? Dual(0) : curvature ? Dual(0, grad.d) : grad);
  }
};

// At most 16 classes: a thread a row, class after class.
__global__ void __launch_bounds__(16) few_classes(Rows a) {
  using Loss = losses::CrossEntropy;
  const int i = static_cast<int>(blockIdx.x * 16 + threadIdx.x);
  if (i >= a.rows) return;
  const Taken at(a, i);
  Dual top = get(at.z);
  int best = 0;
  for (int c = 0; c < at.columns; ++c) {
    const Dual z = get(at.z + c);
    best = z > top ? c : best;
    top = z > top ? z : top;
  }
  Dual others = 0;
  for (int c = 0; c < at.columns; ++c)
    others += best == c ? Dual(0) : exp_down(get(at.z + c) - top);
  const Dual factor = at.factor * at.weight, option = a.option, columns = at.columns;
  const Dual keep = Dual(1) - option, spread = option / columns;
  const Dual scale = factor / (Dual(1) + others);
  const Dual others_t = best == at.label ? 0 : 1;
  const Dual largest =
      Loss::grad_of_largest(others, others_t, scale, factor * keep, factor * spread, columns);
  for (int c = 0; c < at.columns; ++c) {
    const Dual e = exp_down(get(at.z + c) - top), t = at.label == c ? 1 : 0;
    const Dual grad = Loss::grad(e, t, scale, factor * keep, factor * spread);
    at.leave(c, best == c ? largest : grad);
  }
}

template <class Loss> __global__ void __launch_bounds__(64) single_column(Rows a) {
  const int i = static_cast<int>(blockIdx.x * 64 + threadIdx.x);
  if (i >= a.rows) return;
  const Taken at(a, i);
  const Dual t =
      a.truth.targets ? static_cast<double>(a.truth.targets[at.at]) : static_cast<double>(at.label);
  at.leave(0, Dual(at.factor * at.weight) * Loss::template grad<Dual>(get(at.z), t, a.option));
}

// Half a warp a row: lane j has columns j, j+16, ...
struct Half {
  int lane, row;
  bool there;
  __device__ explicit Half(int rows) : lane(static_cast<int>(threadIdx.x) % kHalf) {
    row = static_cast<int>((blockIdx.x * blockDim.x + threadIdx.x) / kHalf);
    there = row < rows;
    if (!there) row = rows - 1;
  }
};

template <class Loss> __global__ void __launch_bounds__(64) column_rows(Rows a) {
  const Half half(a.rows);
  if (!half.there) return;
  const Taken at(a, half.row);
  const float* const target = a.truth.targets + at.at * at.columns;
  const Dual scale = at.factor * at.weight / at.columns;
  for (int c = half.lane; c < at.columns; c += kHalf) {
    const Dual t = static_cast<double>(target[c]);
    at.leave(c, scale * Loss::template grad<Dual>(get(at.z + c), t, a.option));
  }
}

// NaN is passed over: it shows in the sum of exponentials.
__device__ __forceinline__ Dual row_max(const DualNumber* z, int lane, int columns) {
  Dual top = -__builtin_huge_val();
  for (int c = lane; c < columns; c += kHalf) top = max_(get(z + c), top);
#pragma unroll
  for (int half = kHalf / 2; half > 0; half /= 2) top = max_(down(top, half), top);
  return first_of(top);
}

__device__ __forceinline__ int least(int x) {
#pragma unroll
  for (int half = kHalf / 2; half > 0; half /= 2)
    x = min_(x, __shfl_xor_sync(kAll, x, half, kHalf));
  return x;
}

template <bool kTarget> __global__ void __launch_bounds__(64) many_classes(Rows a) {
  using Loss = losses::CrossEntropy;
  const Half half(a.rows);
  const Taken at(a, half.row);
  const int columns = half.there ? at.columns : 0, lane = half.lane;
  const float* const target = kTarget ? a.truth.targets + at.at * at.columns : nullptr;
  const Dual top = row_max(at.z, lane, columns);
  int first = columns;
  for (int c = lane; c < columns; c += kHalf) first = get(at.z + c) == top ? min_(first, c) : first;
  const int best = least(first);
  Dual others = 0, ts = 0, other_ts = 0;
  for (int c = lane; c < columns; c += kHalf) {
    others += c == best ? Dual(0) : exp_down(get(at.z + c) - top);
    if constexpr (kTarget) {
      const Dual t = static_cast<double>(target[c]);
      ts += t;
      other_ts += c == best ? Dual(0) : t;
    }
  }
  others = fold(others);
  Dual t_sum = 1, others_t = best == at.label ? 0 : 1;
  if constexpr (kTarget) t_sum = fold(ts), others_t = fold(other_ts);
  if (!half.there) return;
  const Dual factor = at.factor * at.weight, option = a.option, classes = columns;
  const Dual keep = Dual(1) - option, spread = option / classes;
  const Dual scale = factor * fma_(keep, t_sum, option) / (Dual(1) + others);
  for (int c = lane; c < columns; c += kHalf) {
    const Dual e = exp_down(get(at.z + c) - top);
    Dual t = 0;
    if constexpr (kTarget) t = static_cast<double>(target[c]);
    Dual grad = Loss::grad(e, t, scale, factor * keep, factor * spread);
    if (!kTarget && c == at.label) grad -= factor * keep;
    if (c == best)
      grad =
          Loss::grad_of_largest(others, others_t, scale, factor * keep, factor * spread, classes);
    at.leave(c, grad);
  }
}

template <class Loss> void run(const Place& at, const Rows& a) {
  const int columns = a.z.columns / (a.truth.positions > 0 ? a.truth.positions : 1);
  const unsigned threads = blocks_of(a.rows, 64), halves = blocks_of(a.rows, 64 / kHalf);
  if constexpr (Loss::kPerColumn) {
    columns == 1 ? start(at.stream, dim3(threads), dim3(64), single_column<Loss>, a)
                 : start(at.stream, dim3(halves), dim3(64), column_rows<Loss>, a);
  } else if (a.truth.labels && columns <= kHalf) {
    start(at.stream, dim3(blocks_of(a.rows, 16)), dim3(16), few_classes, a);
  } else {
    a.truth.targets ? start(at.stream, dim3(halves), dim3(64), many_classes<true>, a)
                    : start(at.stream, dim3(halves), dim3(64), many_classes<false>, a);
  }
}
template <class... L> void run_one(int index, const Place& at, const Rows& a, List<L...>) {
  static constexpr void (*all[])(const Place&, const Rows&) = {run<L>...};
  all[index](at, a);
}

// The gradient of a sum of elements: the same for all of a sample, or of a position that has a weight.
struct MeanGrad {
  Now now;
  Truth truth;
  double scale;
  DualLoss of;
  Duals dx;
  __device__ void operator()(int r, int c) const {
    const long sample = truth.order[r];
    double weight = 1, by = scale;
    if (truth.positions > 0) {
      const TermRow& term = now.terms[static_cast<long>(here(now)) * now.count + of.number];
      const int p = c / (dx.columns / truth.positions);
      if (truth.each) weight = static_cast<double>(truth.each[sample * truth.positions + p]);
      by = scale * (term.share > 0 ? term.share : 1) * static_cast<double>(truth.positions);
    } else if (truth.weights) {
      weight = truth.weights[sample];
    }
    put(place(dx, r, c), of.curvature ? 0 : *of.factor * weight * by);
  }
};

}  // namespace

void loss(const Place& at, int index, double option, const Duals& z, const Truth& truth,
          const DualLoss& of, const Duals& dz) {
  const int each = truth.positions > 0 ? truth.positions : 1;
  run_one(index, at, {at.now, at.rows * each, z, truth, option, of, dz}, losses::All{});
}

void mean_loss(const Place& at, double scale, const Duals& x, const Truth& truth,
               const DualLoss& of, const Duals& dx) {
  each(at, x.columns, MeanGrad{at.now, truth, scale, of, dx});
}

}  // namespace steep::cuda
