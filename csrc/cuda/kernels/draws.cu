// Samples gathered into a batch in the order that is drawn for them, and the ops that draw numbers: words are
// a function of seed, step, op, row and column, found again wherever they are needed.
#include "cuda/kernels/each_drawn.cuh"
#include "data/permutation.h"

namespace steep::cuda {

namespace {

// Where the number of an output comes from: a sample's image, or the fill around and on it.
struct Changed {
  Augmented by;
  Change change;
  __device__ Changed(const Augmented& a, uint64_t epoch, uint64_t sample)
      : by(a), change(draw_change(a.drawn, a.seed, epoch, sample)) {}
  template <class S> __device__ float operator()(const S* image, int c) const {
    const int channel = c % by.channels, pixel = c / by.channels;
    const long width = by.drawn.width, y = pixel / width, x = pixel % width;
    const bool painted = y >= change.top && y < change.bottom && x >= change.left && x < change.end;
    const long from_y = y + change.down;
    const long from_x = (change.flip ? width - 1 - x : x) + change.right;
    if (painted || from_y < 0 || from_y >= by.drawn.height || from_x < 0 || from_x >= width)
      return by.fill[channel];
    return static_cast<float>(image[(from_y * width + from_x) * by.channels + channel]);
  }
};

// A block a row: its first thread finds the sample, and where it lies.
template <class S, bool kChanged, class By>
__global__ void __launch_bounds__(256)
    gather_rows(Now now, Deal deal, const S* data, long stride, Augmented augmented, int columns,
                float scale, float shift, View out, bool first) {
  STEEP_SHARED(sample, uint64_t);
  STEEP_SHARED(place, uint64_t);
  const int r = static_cast<int>(blockIdx.x);
  if (threadIdx.x == 0) {
    const StepRow& step = row_of(now);
    const uint64_t at = step.first + r;
    const bool drawn = deal.shuffle && (kChanged || !deal.dealt);
    sample = drawn ? Permutation(deal.seed, step.epoch, deal.samples)(at) : at;
    place = deal.dealt ? static_cast<uint64_t>(step.there + r) : sample;
    if (first) deal.order[r] = static_cast<long>(place);
  }
  __syncthreads();
  const S* const from = data + place * static_cast<uint64_t>(stride);
  const auto write = [&](const auto& value) {
    for (int c = static_cast<int>(threadIdx.x); c < columns; c += static_cast<int>(blockDim.x))
      By::put(out, r * out.ld + c, fma_(scale, value(c), shift));
  };
  if constexpr (kChanged) {
    const Changed changed(augmented, row_of(now).epoch, sample);
    write([&](int c) { return changed(from, c); });
  } else {
    write([&](int c) { return static_cast<float>(from[c]); });
  }
}

template <class By> struct Into {
  View out;
  bool accumulate;
  __device__ __forceinline__ void operator()(int r, int c, float x) const {
    const long place = r * out.ld + c;
    By::put(out, place, accumulate ? By::get(out, place) + x : x);
  }
};
template <class By, class Value>
void draw_each(const Place& at, const Drawn& drawn, const View& out, bool accumulate,
               const Value& value) {
  each_drawn<float>(at, drawn, out.columns, value, Into<By>{out, accumulate});
}
// The same of Value<By>, made of these, which reads tensors as they are.
template <template <class> class Value, class... Of>
void draw_values(const Place& at, const Drawn& drawn, const View& out, bool accumulate,
                 const Of&... of) {
  out.bfloat16 || (is_brains(of) || ...)
      ? draw_each<Either>(at, drawn, out, accumulate, Value<Either>{of...})
      : draw_each<Floats>(at, drawn, out, accumulate, Value<Floats>{of...});
}

template <class By> struct Kept {
  View x;
  uint32_t threshold;
  float scale;
  STEEP_HD float operator()(uint32_t word, int r, int c) const {
    return word >= threshold ? at<By>(x, r, c) * scale : 0.0f;
  }
};
template <class By> struct KeptOfStep {
  Now now;
  View x;
  int scalar;
  __device__ __forceinline__ float operator()(uint32_t word, int r, int c) const {
    const double* const row = now.limits + static_cast<long>(here(now)) * now.columns;
    const double rate = row[now.scalars + scalar];
    const uint32_t threshold = static_cast<uint32_t>(llround(rate * 4294967296.0));
    return word >= threshold ? at<By>(x, r, c) * static_cast<float>(1.0 / (1.0 - rate)) : 0.0f;
  }
};
// Four features of a position a thread: their block is that of all positions.
template <class By> struct KeptOfSample {
  Now now;
  Drawn drawn;
  uint32_t threshold;
  float scale;
  int features;
  View x, y;
  bool accumulate;
  __device__ __forceinline__ void operator()(int r, int i) const {
    const int quads = (features + 3) / 4, quad = i % quads;
    const Philox4 bits = words_of(drawn, row_of(now), r, quad);
    const int first = i / quads * features;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int c = 4 * quad + j;
      if (c >= features) continue;
      const long to = r * y.ld + first + c;
      const float kept = bits.word[j] >= threshold ? at<By>(x, r, first + c) * scale : 0.0f;
      By::put(y, to, accumulate ? By::get(y, to) + kept : kept);
    }
  }
};
template <class By> struct KeptShifted {
  View x;
  uint32_t threshold;
  float scale, shift, dropped;
  STEEP_HD float operator()(uint32_t word, int r, int c) const {
    return word >= threshold ? fma_(at<By>(x, r, c), scale, shift) : dropped;
  }
};
template <class By> struct Sloped {
  View dy, x;
  float lower, range;
  STEEP_HD float operator()(uint32_t word, int r, int c) const {
    const float up = at<By>(dy, r, c), slope = fma_(range, static_cast<float>(word), lower);
    return at<By>(x, r, c) > 0.0f ? up : slope * up;
  }
};

template <class> struct Plain {
  STEEP_HD float operator()(NormalNumber<float> n, int, int) const { return n.n; }
};
template <class By> struct Added {
  View x;
  float std;
  STEEP_HD float operator()(NormalNumber<float> n, int r, int c) const {
    return fma_(std, n.n, at<By>(x, r, c));
  }
};
template <class By> struct Sampled {
  View x, v;
  STEEP_HD float operator()(NormalNumber<float> n, int r, int c) const {
    return fma_(exp_(0.5f * at<By>(v, r, c)), n.n, at<By>(x, r, c));
  }
};
template <class By> struct SampledGrad {
  View dz, v;
  STEEP_HD float operator()(NormalNumber<float> n, int r, int c) const {
    return at<By>(dz, r, c) * (0.5f * exp_(0.5f * at<By>(v, r, c)) * n.n);
  }
};
template <class> struct Uniform {
  float low, range, high;
  STEEP_HD float operator()(uint32_t word, int, int) const {
    return min_(fma_(range, unit_<float>(word), low), high);
  }
};
template <class By> struct Coin {  // a NaN stays one
  View p;
  STEEP_HD float operator()(uint32_t word, int r, int c) const {
    const float chance = at<By>(p, r, c);
    return unit_<float>(word) < chance ? 1.0f : chance < 1.0f ? 0.0f : chance;
  }
};
template <class> struct Constant {
  float value;
  STEEP_HD float operator()(int, int) const { return value; }
};
struct OutOfStates {
  Now now;
  States from;
  __device__ __forceinline__ float operator()(int r, int c) const {
    const StepRow& step = row_of(now);
    if (from.restarts && step.first == static_cast<uint64_t>(step.before)) return 0.0f;
    const int at = (step.before + r) % from.rows;
    return from.data[static_cast<long>(at) * from.width + c];
  }
};
struct IntoStates {
  Now now;
  View next;
  States to;
  __device__ __forceinline__ void operator()(int r, int c) const {
    const long row = row_of(now).before + r;
    if (row < to.rows && !stopped(now, true)) to.data[row * to.width + c] = at(next, r, c);
  }
};

}  // namespace

void gather(const Place& at, const Deal& deal, const Samples& from, const Augmented& augmented,
            float scale, float shift, const View& out, bool first) {
  const dim3 grid(static_cast<unsigned>(at.rows));
  const dim3 block(from.columns <= 32 ? 32 : from.columns <= 256 ? 64 : 256);
  const bool changed = augmented.fill != nullptr;
  const auto go = [&]<class S>(const S*) {
    with_storage(
        [&]<class By>(By) {
          start(at.stream, grid, block,
                changed ? gather_rows<S, true, By> : gather_rows<S, false, By>, at.now, deal,
                static_cast<const S*>(from.data), from.stride, augmented, from.columns, scale,
                shift, out, first);
        },
        out);
  };
  switch (from.format) {
    case Format::UInt8: return go(static_cast<const uint8_t*>(nullptr));
    case Format::UInt16: return go(static_cast<const uint16_t*>(nullptr));
    case Format::Int32: return go(static_cast<const int32_t*>(nullptr));
    case Format::Int64: return go(static_cast<const int64_t*>(nullptr));
    default: return go(static_cast<const float*>(nullptr));
  }
}

void dropout(const Place& at, const Drawn& drawn, uint32_t threshold, float scale, const View& x,
             const View& y, bool accumulate) {
  draw_values<Kept>(at, drawn, y, accumulate, x, threshold, scale);
}

void dropout_of_step(const Place& at, const Drawn& drawn, int scalar, const View& x, const View& y,
                     bool accumulate) {
  draw_values<KeptOfStep>(at, drawn, y, accumulate, at.now, x, scalar);
}

void step_dropout(const Place& at, const Drawn& drawn, uint32_t threshold, float scale,
                  int positions, const View& x, const View& y, bool accumulate) {
  const int features = y.columns / positions;
  with_storage(
      [&]<class By>(By) {
        each(at, (features + 3) / 4 * positions,
             KeptOfSample<By>{at.now, drawn, threshold, scale, features, x, y, accumulate});
      },
      x, y);
}

void alpha_dropout(const Place& at, const Drawn& drawn, uint32_t threshold, float scale,
                   float shift, float dropped, const View& x, const View& y) {
  draw_values<KeptShifted>(at, drawn, y, false, x, threshold, scale, shift, dropped);
}

void noise(const Place& at, const Drawn& drawn, Noise kind, float std, const View& x, const View& v,
           const View& out, bool accumulate) {
  switch (kind) {
    case Noise::kNormal: return draw_values<Plain>(at, drawn, out, accumulate);
    case Noise::kAdded: return draw_values<Added>(at, drawn, out, accumulate, x, std);
    case Noise::kSampled: return draw_values<Sampled>(at, drawn, out, accumulate, x, v);
    case Noise::kSampledGrad: return draw_values<SampledGrad>(at, drawn, out, accumulate, x, v);
  }
}

void uniform(const Place& at, const Drawn& drawn, float low, float range, float high,
             const View& out) {
  draw_values<Uniform>(at, drawn, out, false, low, range, high);
}

void bernoulli(const Place& at, const Drawn& drawn, const View& p, const View& out) {
  draw_values<Coin>(at, drawn, out, false, p);
}

void fill(const Place& at, float value, const View& out) {
  write_values<Constant>(at, out, false, value);
}

void kept_rows(const Place& at, const States& from, const View& y) {
  write_each(at, y, false, OutOfStates{at.now, from});
}

// Those of larger batches begin again with the first: rows beyond leave nothing.
void keep_rows(const Place& at, const View& next, const States& to) {
  Place some = at;
  some.rows = at.rows < to.rows ? at.rows : to.rows;
  each(some, to.width, IntoStates{at.now, next, to});
}

void random_slopes(const Place& at, const Drawn& drawn, float lower, float range, const View& dy,
                   const View& x, const View& out, bool accumulate) {
  draw_values<Sloped>(at, drawn, out, accumulate, dy, x, lower, range);
}

}  // namespace steep::cuda
