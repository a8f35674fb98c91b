// A step of a training that stays in one block: the ops of resident.h, all threads at each, a barrier after it. No
// kernel lives here.
#pragma once
#include "cuda/kernels/drawn.cuh"
#include "cuda/kernels/losses.cuh"
#include "cuda/kernels/resident_products.cuh"
#include "cuda/kernels/resident_read.cuh"

namespace steep::cuda {

namespace resident_ops {

// ---- Each element by itself ----

// y (+)= f(x, other), four neighbours a thread: what is beside a row's numbers nobody looks at.
template <class F> __device__ __forceinline__ void each_four(const Room& room, const Node& node,
                                                             int rows, const F& f) {
  for (int u = static_cast<int>(threadIdx.x); u < rows * node.by_columns.by(); u += kThreads) {
    const Divisor::Parts at = node.by_columns.of(u);
    const auto of = [&](const Spot& s) -> Four& {
      return four(room.tensor(s) + at.quotient * s.ld + 4 * at.rest);
    };
    Four y = f(at.quotient, at.rest, of);
    if (node.accumulate) {
      const Four old = of(node.y);
#pragma unroll
      for (int i = 0; i < 4; ++i) y.of[i] = old.of[i] + y.of[i];
    }
    of(node.y) = y;
  }
}

__device__ __forceinline__ void drop(const Room& room, const Node& node, int rows) {
  Drawn drawn = node.drawn;
  drawn.seed = room.of.seed;
  each_four(room, node, rows, [&](int r, int quad, const auto& of) {
    const Philox4 bits = words_of(drawn, room.row(), r, static_cast<uint32_t>(quad));
    Four y = of(node.x);
#pragma unroll
    for (int i = 0; i < 4; ++i)
      y.of[i] = bits.word[i] >= node.threshold ? y.of[i] * node.scale : 0.0f;
    return y;
  });
}

// ---- Losses ----

template <class Loss> __device__ __forceinline__ void lose_rows(const Rows& a) {
  const int t = static_cast<int>(threadIdx.x);
  const auto threads = [&](const auto& f) {
    for (int i = t; i < a.rows; i += kThreads) f(i);
  };
  const auto halves = [&](const auto& f) {
    for (int first = 0; first + t / 32 * 2 < a.rows; first += kThreads / kHalf)
      f(Lane(first + t / kHalf, a.rows));
  };
  if constexpr (Loss::kPerColumn) {
    if (a.z.columns == 1) return threads([&](int i) { single_column_of<Loss>(a, i); });
    halves([&](const Lane& lane) { columns_of<Loss>(a, lane); });
  } else {
    if (a.truth.labels && a.z.columns <= kHalf)
      return threads([&](int i) { few_classes_of(a, i); });
    halves([&](const Lane& lane) {
      a.truth.targets ? many_classes_of<true>(a, lane) : many_classes_of<false>(a, lane);
    });
  }
}
template <int kFirst, class L, class... More>
__device__ __forceinline__ void lose_by(int loss, const Rows& a, List<L, More...>) {
  if constexpr (sizeof...(More) > 0)
    if (loss != kFirst) return lose_by<kFirst + 1>(loss, a, List<More...>{});
  lose_rows<L>(a);
}

// Samples are numbered as they come.
__device__ __forceinline__ void lose(const Room& room, const Node& node, int rows) {
  const Resident& of = room.of;
  Truth truth{};
  if (of.truth.labels) truth.labels = room.of_turn<int32_t>(of.at.labels);
  truth.apart = 1;
  if (of.truth.targets) truth.targets = room.of_turn<float>(of.at.targets);
  if (of.truth.weights) truth.weights = room.of_turn<double>(of.at.weights);
  const Losses out{room.at<double>(of.at.values), room.at<double>(of.at.correct), nullptr, 0};
  lose_by<0>(node.f,
             Rows{{},
                  rows,
                  room.view(node.x),
                  truth,
                  node.alpha,
                  out,
                  room.view(node.y),
                  room.of_turn<TermRow>(of.at.term)},
             losses::All{});
}

// Three threads add up the rows, in order.
__device__ __forceinline__ void record(const Room& room, int rows, int step) {
  const Resident& of = room.of;
  const int t = static_cast<int>(threadIdx.x), which = kWarps - 1 - t / 32;
  if (t % 32 != 0 || which > 2) return;
  const double* const values = room.at<double>(of.at.values);
  const double* const correct = room.at<double>(of.at.correct);
  const double* const weights = of.truth.weights ? room.of_turn<double>(of.at.weights) : nullptr;
  double sum = 0;
  for (int r = 0; r < rows; ++r) {
    const double weight = weights ? weights[r] : 1.0;
    sum += which == 0   ? values[r]
           : which == 1 ? (weights ? weight * correct[r] : correct[r])
                        : weight;
  }
  (which == 0 ? of.sums.loss : which == 1 ? of.sums.right : of.sums.weight)[step] = sum;
}

// ---- A pass ----

// Forward and backward; whether the loss is not finite, which is as far as it then goes.
__device__ STEEP_CALLED bool pass(const Resident& of, std::byte* memory, int turn) {
  const Room room{memory, of, turn};
  const int rows = room.rows();
  for (int i = 0; i < of.node_count; ++i) {
    const Node& node = room.at<Node>(of.at.nodes)[i];
    switch (node.act) {
      case Node::kRead: continue;
      case Node::kProduct:
        node.turned ? multiply<true>(room, node, rows) : multiply<false>(room, node, rows);
        break;
      case Node::kDots: dot(room, node, rows); break;
      case Node::kActivation:
        each_four(room, node, rows, [&](int, int, const auto& four_of) {
          return activated(node.f, node.alpha, four_of(node.x));
        });
        break;
      case Node::kActivationGrad:
        each_four(room, node, rows, [&](int, int, const auto& four_of) {
          return sloped(node.f, node.alpha, four_of(node.x), four_of(node.other));
        });
        break;
      case Node::kDropout: drop(room, node, rows); break;
      case Node::kSum:
        each_four(room, node, rows, [&](int, int, const auto& four_of) {
          Four y = four_of(node.x);
          const Four& x = four_of(node.other);
#pragma unroll
          for (int j = 0; j < 4; ++j) y.of[j] = y.of[j] + x.of[j];
          return y;
        });
        break;
      case Node::kAffine:
        each_four(room, node, rows, [&](int, int, const auto& four_of) {
          Four y = four_of(node.x);
#pragma unroll
          for (int j = 0; j < 4; ++j) y.of[j] = fma_(node.scale, y.of[j], node.shift);
          return y;
        });
        break;
      case Node::kLoss: {
        lose(room, node, rows);
        __syncthreads();
        bool bad = false;
        const double* const values = room.at<double>(of.at.values);
        for (int r = static_cast<int>(threadIdx.x); r < rows; r += kThreads)
          bad = bad || !(values[r] * 0.0 == 0);
        if (__syncthreads_or(bad)) return true;
        continue;
      }
    }
    __syncthreads();
  }
  return false;
}

// All of them, threads one after the other, and the sums of losses beside them. Nobody waits in between.
__device__ STEEP_CALLED void share_out(const Resident& of, std::byte* memory, int turn, int step) {
  const Room room{memory, of, turn};
  const int rows = room.rows();
  record(room, rows, step);
  int used = 0;  // threads that have had one
  for (int i = 0; i < of.share_count; ++i) {
    const Share& share = room.at<Share>(of.at.shares)[i];
    const int t = (static_cast<int>(threadIdx.x) + kThreads - used) % kThreads;
    share.outer ? sum_outer(room, share, rows, t) : sum_column(room, share, rows, t);
    const int units =
        share.outer ? (share.x.columns + 1) / 2 * share.by_columns.by() : share.y.columns;
    used = (used + (units + 31) / 32 * 32) % kThreads;
  }
}

}  // namespace resident_ops

}  // namespace steep::cuda
