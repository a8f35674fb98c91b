// What a step of a training that stays in one block is read from: a batch's samples, and its rows of the tables. No
// kernel lives here.
#pragma once
#include "cuda/kernels/resident_room.cuh"
#include "data/permutation.h"

namespace steep::cuda {

namespace resident_ops {

// Numbers of up to 32 rows that a warp reads: row i of them is at `first + kWarps*i` of the batch, lane i knows its
// sample.
template <class S, class Write>
__device__ __forceinline__ void read_rows(const S* data, long stride, int columns, int count,
                                          uint64_t sample, const Divisor& by, const Write& write) {
  const int lane = static_cast<int>(threadIdx.x) % 32, all = count * columns;
#pragma unroll 4
  for (int first = 0; first < all; first += 32) {
    const int e = first + lane < all ? first + lane : all - 1;
    const Divisor::Parts at = by.of(e);
    const uint64_t from = __shfl_sync(kAll, sample, at.quotient);
    const S x = data[from * static_cast<uint64_t>(stride) + static_cast<uint64_t>(at.rest)];
    if (first + lane < all) write(at.quotient, at.rest, x);
  }
}

template <class F> __device__ __forceinline__ void with_format(const Samples& of, const F& f) {
  switch (of.format) {
    case Format::UInt8: return f(static_cast<const uint8_t*>(of.data));
    case Format::UInt16: return f(static_cast<const uint16_t*>(of.data));
    case Format::Int32: return f(static_cast<const int32_t*>(of.data));
    case Format::Int64: return f(static_cast<const int64_t*>(of.data));
    default: return f(static_cast<const float*>(of.data));
  }
}

// The batch of a step, and what the tables say of it, into the places of the turn. The last warps begin: products are
// the first ones'.
__device__ STEEP_CALLED void read_batch(const Resident& of, std::byte* memory, int turn,
                                        const StepRow* step, const TermRow* term,
                                        const float* knobs, const double* limits, int columns) {
  const Room room{memory, of, turn};
  const int t = static_cast<int>(threadIdx.x), lane = t % 32, warp = kWarps - 1 - t / 32;
  if (warp == 0 && lane == 0) {
    *room.of_turn<StepRow>(of.at.row) = *step;
    *room.of_turn<TermRow>(of.at.term) = *term;
  }
  for (int i = t; i < columns; i += kThreads) {
    room.of_turn<float>(of.at.knobs)[i] = knobs[i];
    room.of_turn<double>(of.at.limits)[i] = limits[i];
  }
  const int rows = step->rows;
  if (warp >= rows) return;
  const Permutation order(of.deal.seed, step->epoch, of.deal.samples);
  const Truth& truth = of.truth;
  for (int first = warp; first < rows; first += 32 * kWarps) {
    const int left = (rows - first + kWarps - 1) / kWarps, count = left < 32 ? left : 32;
    const int mine = lane < count ? first + kWarps * lane : first;
    const uint64_t place = step->first + static_cast<uint64_t>(mine);
    const uint64_t sample = of.deal.shuffle ? order(place) : place;
    if (lane < count) {
      if (truth.labels)
        room.of_turn<int32_t>(of.at.labels)[mine] =
            truth.labels[sample * static_cast<uint64_t>(truth.apart)];
      if (truth.weights) room.of_turn<double>(of.at.weights)[mine] = truth.weights[sample];
    }
    for (int i = 0; i < of.node_count; ++i) {
      const Node& node = room.at<Node>(of.at.nodes)[i];
      if (node.act != Node::kRead) break;
      float* const to = room.tensor(node.y);
      const Samples& from = node.target ? of.targets[node.number] : of.inputs[node.number];
      with_format(from, [&](const auto* data) {
        read_rows(data, from.stride, node.y.columns, count, sample, node.by_columns,
                  [&](int r, int c, auto x) {
                    float y = fma_(node.scale, static_cast<float>(x), node.shift);
                    if (node.scales) y = y * node.scales[c % node.period];
                    if (node.shifts) y = y + node.shifts[c % node.period];
                    to[(first + kWarps * r) * node.y.ld + c] = y;
                  });
      });
    }
    if (!truth.targets) continue;
    const int wide = of.target_columns;
    float* const to = room.of_turn<float>(of.at.targets);
    read_rows(truth.targets, wide, wide, count, sample, of.by_targets,
              [&](int r, int c, float x) { to[(first + kWarps * r) * wide + c] = x; });
  }
}

}  // namespace resident_ops

}  // namespace steep::cuda
