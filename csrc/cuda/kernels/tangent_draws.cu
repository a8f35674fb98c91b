// Ops that draw, in dual numbers: dropout, noise, slopes and tensors that are drawn; and rows that steps leave to each
// other. What is drawn has no derivative; words are those that the CPU finds.
#include "cuda/kernels/tangent.cuh"
// The line above comes first.
#include "cuda/kernels/each_drawn.cuh"

namespace steep::cuda {

namespace {

struct Into {
  Duals out;
  bool accumulate;
  STEEP_HD void operator()(int r, int c, Dual x) const { leave(place(out, r, c), x, accumulate); }
};
// out(r, c) (+)= value(word, r, c), or of a normal number.
template <class Value>
void draw_each(const Place& at, const Drawn& drawn, const Duals& out, bool accumulate,
               const Value& value) {
  each_drawn<double>(at, drawn, out.columns, value, Into{out, accumulate});
}

STEEP_HD uint32_t threshold_of(double rate) {
  return static_cast<uint32_t>(llround(rate * 4294967296.0));
}

struct Dropped {
  Now now;
  DualMask of;
  Duals x;
  __device__ __forceinline__ Dual operator()(uint32_t word, int r, int c) const {
    const double rate = of.scalar < 0 ? of.rate : scalar_of(now, of.scalar);
    const double scale = of.scalar < 0 ? of.scale : 1.0 / (1.0 - rate);
    return word >= threshold_of(rate) ? get(x, r, c) * Dual(scale) : Dual(0);
  }
};
struct DroppedShifted {
  DualShift of;
  Duals x;
  STEEP_HD Dual operator()(uint32_t word, int r, int c) const {
    const Dual kept = fma_(get(x, r, c), Dual(of.scale), Dual(of.shift));
    return word >= threshold_of(of.rate) ? kept : Dual(of.dropped);
  }
};
struct Noisy {
  double std;
  Duals x;
  STEEP_HD Dual operator()(NormalNumber<double> n, int r, int c) const {
    return fma_(Dual(std), Dual(n.n), get(x, r, c));
  }
};
struct Sloped {
  Duals dy, x;
  double lower, range;
  STEEP_HD Dual operator()(uint32_t word, int r, int c) const {
    const Dual up = get(dy, r, c);
    const Dual slope = fma_(Dual(range), Dual(static_cast<double>(word)), Dual(lower));
    return get(x, r, c) > Dual(0) ? up : slope * up;
  }
};
struct Between {
  double low, range, high;
  STEEP_HD Dual operator()(uint32_t word, int, int) const {
    return min_(fma_(Dual(range), Dual(unit_<double>(word)), Dual(low)), Dual(high));
  }
};
struct ZeroOrOne {  // a NaN stays one
  Duals p;
  STEEP_HD Dual operator()(uint32_t word, int r, int c) const {
    const Dual chance = get(p, r, c), one = 1;
    return Dual(unit_<double>(word)) < chance ? one : chance < one ? Dual(0) : chance;
  }
};
struct Itself {
  STEEP_HD Dual operator()(NormalNumber<double> n, int, int) const { return n.n; }
};
struct Sampled {
  Duals mean, log_variance;
  STEEP_HD Dual operator()(NormalNumber<double> n, int r, int c) const {
    return fma_(exp_(Dual(0.5) * get(log_variance, r, c)), Dual(n.n), get(mean, r, c));
  }
};
struct SampledGrad {
  Duals dz, log_variance;
  STEEP_HD Dual operator()(NormalNumber<double> n, int r, int c) const {
    return get(dz, r, c) * (Dual(0.5) * exp_(Dual(0.5) * get(log_variance, r, c)) * Dual(n.n));
  }
};

// Four features of all positions a thread.
struct PositionsDropped {
  Now now;
  Drawn drawn;
  double rate;
  int positions, features;
  Duals x, y;
  bool accumulate;
  __device__ __forceinline__ void operator()(int r, int quad) const {
    const Philox4 bits = words_of(drawn, row_of(now), r, quad);
    const uint32_t threshold = threshold_of(rate);
    const Dual scale = 1 / (1 - rate);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (4 * quad + j >= features) continue;
      for (int p = 0, c = 4 * quad + j; p < positions; ++p, c += features) {
        const Dual kept = bits.word[j] >= threshold ? get(x, r, c) * scale : Dual(0);
        leave(place(y, r, c), kept, accumulate);
      }
    }
  }
};

struct Constant {
  double value;
  STEEP_HD Dual operator()(int, int) const { return value; }
};
struct OutOfStates {
  Now now;
  DualStates from;
  __device__ __forceinline__ Dual operator()(int r, int c) const {
    const StepRow& step = row_of(now);
    if (from.restarts && step.first == static_cast<uint64_t>(step.before)) return 0;
    return get(from.data + static_cast<long>((step.before + r) % from.rows) * from.width + c);
  }
};

}  // namespace

void dropout(const Place& at, const Drawn& drawn, const DualMask& of, const Duals& x,
             const Duals& y, bool accumulate) {
  draw_each(at, drawn, y, accumulate, Dropped{at.now, of, x});
}

void alpha_dropout(const Place& at, const Drawn& drawn, const DualShift& of, const Duals& x,
                   const Duals& y) {
  draw_each(at, drawn, y, false, DroppedShifted{of, x});
}

void add_noise(const Place& at, const Drawn& drawn, double std, const Duals& x, const Duals& y) {
  draw_each(at, drawn, y, false, Noisy{std, x});
}

void random_slopes(const Place& at, const Drawn& drawn, double lower, double range, const Duals& dy,
                   const Duals& x, const Duals& out, bool accumulate) {
  draw_each(at, drawn, out, accumulate, Sloped{dy, x, lower, range});
}

void uniform(const Place& at, const Drawn& drawn, double low, double high, const Duals& out) {
  draw_each(at, drawn, out, false, Between{low, high - low, high});
}

void bernoulli(const Place& at, const Drawn& drawn, const Duals& p, const Duals& out) {
  draw_each(at, drawn, out, false, ZeroOrOne{p});
}

void normal(const Place& at, const Drawn& drawn, const Duals& out) {
  draw_each(at, drawn, out, false, Itself{});
}

void sample(const Place& at, const Drawn& drawn, const Duals& mean, const Duals& log_variance,
            const Duals& out) {
  draw_each(at, drawn, out, false, Sampled{mean, log_variance});
}

void sample_grad(const Place& at, const Drawn& drawn, const Duals& dz, const Duals& log_variance,
                 const Duals& out, bool accumulate) {
  draw_each(at, drawn, out, accumulate, SampledGrad{dz, log_variance});
}

void step_dropout(const Place& at, const Drawn& drawn, double rate, int positions, const Duals& x,
                  const Duals& y, bool accumulate) {
  const int features = y.columns / positions;
  each(at, (features + 3) / 4,
       PositionsDropped{at.now, drawn, rate, positions, features, x, y, accumulate});
}

void fill(const Place& at, double value, const Duals& out) {
  write_each(at, out, false, Constant{value});
}

void kept_rows(const Place& at, const DualStates& from, const Duals& y) {
  write_each(at, y, false, OutOfStates{at.now, from});
}

}  // namespace steep::cuda
