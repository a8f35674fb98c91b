// What every file of kernels in dual numbers needs, and includes first: numbers as the CPU's portable kernels have
// them, reading and writing, the loop over elements, sums by half a warp. No kernel of an op lives here.
#pragma once
#if defined(STEEP_HAS_FMA)
#error "tangent.cuh comes first: it says how products are rounded"
#endif
#include "base/hd.h"
// Is a*b + c one instruction in those? Where every processor of the host's kind has it.
#undef STEEP_HAS_FMA
#if defined(__ARM_FEATURE_FMA)
#define STEEP_HAS_FMA 1
#else
#define STEEP_HAS_FMA 0
#endif
#include "base/dual.h"
#include "cuda/kernels/each.cuh"
#include "cuda/kernels/tangent.h"

namespace steep::cuda {

STEEP_HD Dual get(const DualNumber* p) {
  const DualNumber x = *p;
  return {x.v, x.d};
}
STEEP_HD void put(DualNumber* p, Dual x) { *p = {x.v, x.d}; }
// p (+)= x
STEEP_HD void leave(DualNumber* p, Dual x, bool accumulate) { put(p, accumulate ? get(p) + x : x); }
STEEP_HD DualNumber* place(const Duals& x, long r, long c) { return x.data + r * x.ld + c; }
STEEP_HD Dual get(const Duals& x, int r, int c) { return get(place(x, r, c)); }

// As storage.cuh has it of floats.
struct DualTensors {
  using Tensor = Duals;
  using Number = Dual;
  static STEEP_HD Dual get(const Duals& x, long at) { return cuda::get(x.data + at); }
  static STEEP_HD void put(const Duals& x, long at, Dual value) { cuda::put(x.data + at, value); }
};
STEEP_HD bool same_bits(Dual a, Dual b) {
  return bits_(a.v) == bits_(b.v) && bits_(a.d) == bits_(b.d);
}

// Parts are summed as they are of one number.
__device__ __forceinline__ Dual fold(Dual x) { return {fold_lanes(x.v), fold_lanes(x.d)}; }
__device__ __forceinline__ Dual down(Dual x, int half) {
  return {__shfl_down_sync(kAll, x.v, half, kHalf), __shfl_down_sync(kAll, x.d, half, kHalf)};
}
__device__ __forceinline__ Dual first_of(Dual x) {
  return {__shfl_sync(kAll, x.v, 0, kHalf), __shfl_sync(kAll, x.d, 0, kHalf)};
}

// Number of the step that ops go by.
__device__ __forceinline__ double scalar_of(const Now& now, int number) {
  return now.limits[static_cast<long>(here(now)) * now.columns + now.scalars + number];
}

// y(r, c) (+)= value(r, c)
template <class Value> struct DualWritten {
  Duals y;
  bool accumulate;
  Value value;
  __device__ __forceinline__ void operator()(int r, int c) const {
    leave(place(y, r, c), value(r, c), accumulate);
  }
};
template <class Value>
void write_each(const Place& at, const Duals& y, bool accumulate, const Value& value) {
  each(at, y.columns, DualWritten<Value>{y, accumulate, value});
}

}  // namespace steep::cuda
