// Samples gathered into a batch in the order that is drawn for them, and the ops that draw numbers: words are
// a function of seed, step, op, row and column, found again wherever they are needed.
#include "base/philox.h"
#include "cuda/kernels/each.cuh"
#include "data/permutation.h"

namespace steep::cuda {

namespace {

// A block a row: its first thread finds the sample.
template <class S>
__global__ void __launch_bounds__(256) gather_rows(Now now, Deal deal, const S* data, int columns,
                                                   float scale, float shift, View out, bool first) {
  STEEP_SHARED(sample, uint64_t);
  const int r = static_cast<int>(blockIdx.x);
  if (threadIdx.x == 0) {
    const StepRow& step = row_of(now);
    const uint64_t at = step.first + r;
    sample = deal.shuffle ? Permutation(deal.seed, step.epoch, deal.samples)(at) : at;
    if (first) deal.order[r] = static_cast<long>(sample);
  }
  __syncthreads();
  const S* const from = data + sample * columns;
  for (int c = static_cast<int>(threadIdx.x); c < columns; c += static_cast<int>(blockDim.x))
    out.data[r * out.ld + c] = fma_(scale, static_cast<float>(from[c]), shift);
}

struct Key { uint32_t low, high; };
STEEP_HD Key key_of(const Drawn& drawn, const StepRow& step) {
  const uint64_t counter = drawn.by_epoch ? ~step.epoch : step.step;
  const uint64_t key = drawn.seed ^ (counter + 1) * 0x9E3779B97F4A7C15u;
  return {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
}

// out(r, c) (+)= value(word, r, c), four columns and one Philox block a thread.
template <class Value> struct FourDrawn {
  Now now;
  Drawn drawn;
  View out;
  bool accumulate;
  Value value;
  __device__ __forceinline__ void operator()(int r, int quad) const {
    const Key key = key_of(drawn, row_of(now));
    const Philox4 bits = philox(static_cast<uint32_t>(quad), static_cast<uint32_t>(r), 0u,
                                drawn.stream, key.low, key.high);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int c = 4 * quad + j;
      if (c >= out.columns) return;
      float* const p = out.data + r * out.ld + c;
      const float x = value(bits.word[j], r, c);
      *p = accumulate ? *p + x : x;
    }
  }
};
template <class Value>
void each_drawn(const Place& at, const Drawn& drawn, const View& out, bool accumulate,
                const Value& value) {
  each(at, (out.columns + 3) / 4, FourDrawn<Value>{at.now, drawn, out, accumulate, value});
}

struct Kept {
  View x;
  uint32_t threshold;
  float scale;
  STEEP_HD float operator()(uint32_t word, int r, int c) const {
    return word >= threshold ? at(x, r, c) * scale : 0.0f;
  }
};
struct KeptShifted {
  View x;
  uint32_t threshold;
  float scale, shift, dropped;
  STEEP_HD float operator()(uint32_t word, int r, int c) const {
    return word >= threshold ? fma_(at(x, r, c), scale, shift) : dropped;
  }
};
struct Sloped {
  View dy, x;
  float lower, range;
  STEEP_HD float operator()(uint32_t word, int r, int c) const {
    const float up = at(dy, r, c), slope = fma_(range, static_cast<float>(word), lower);
    return at(x, r, c) > 0.0f ? up : slope * up;
  }
};

}  // namespace

void gather(const Place& at, const Deal& deal, const Samples& from, float scale, float shift,
            const View& out, bool first) {
  const dim3 grid(static_cast<unsigned>(at.rows));
  const dim3 block(from.columns <= 32 ? 32 : from.columns <= 256 ? 64 : 256);
  if (from.bytes) {
    start(at.stream, grid, block, gather_rows<uint8_t>, at.now, deal,
          static_cast<const uint8_t*>(from.data), from.columns, scale, shift, out, first);
  } else {
    start(at.stream, grid, block, gather_rows<float>, at.now, deal,
          static_cast<const float*>(from.data), from.columns, scale, shift, out, first);
  }
}

void dropout(const Place& at, const Drawn& drawn, uint32_t threshold, float scale, const View& x,
             const View& y, bool accumulate) {
  each_drawn(at, drawn, y, accumulate, Kept{x, threshold, scale});
}

void alpha_dropout(const Place& at, const Drawn& drawn, uint32_t threshold, float scale,
                   float shift, float dropped, const View& x, const View& y) {
  each_drawn(at, drawn, y, false, KeptShifted{x, threshold, scale, shift, dropped});
}

void random_slopes(const Place& at, const Drawn& drawn, float lower, float range, const View& dy,
                   const View& x, const View& out, bool accumulate) {
  each_drawn(at, drawn, out, accumulate, Sloped{dy, x, lower, range});
}

}  // namespace steep::cuda
