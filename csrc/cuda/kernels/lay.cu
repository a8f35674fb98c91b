// Lays matrices out as NVIDIA's libraries take them, and takes results back: rows of a batch and weights, which
// lie in panels, become dense ones of float32 or bfloat16.
#include "cuda/kernels/each.cuh"
#include "cuda/kernels/lay.h"
#include "cuda/kernels/operands.cuh"
#include "cuda/kernels/tensor.cuh"

namespace steep::cuda {

namespace {

// Where the numbers of a dense matrix go, and come from.
struct Floats {
  float* data;
  STEEP_HD void put(long at, float x) const { data[at] = x; }
  STEEP_HD float get(long at) const { return data[at]; }
};
struct Halves {
  uint16_t* data;
  __device__ __forceinline__ void put(long at, float x) const {
    data[at] = static_cast<uint16_t>(BFloat16::word({x, 0.0f}) & 0xffffu);
  }
  STEEP_HD float get(long at) const {
    return float_(static_cast<int32_t>(static_cast<uint32_t>(data[at]) << 16));
  }
};
template <class F> void with_numbers(const Laid& m, const F& f) {
  m.bfloat16 ? f(Halves{static_cast<uint16_t*>(m.data)}) : f(Floats{static_cast<float*>(m.data)});
}

template <class Numbers> struct RowsLaid {
  View x;
  Numbers to;
  long ld;
  __device__ __forceinline__ void operator()(int r, int c) const {
    to.put(r * ld + c, c < x.columns ? at(x, r, c) : 0.0f);
  }
};
template <class Numbers> struct WeightLaid {
  Weight w;
  bool turned;  // the matrix is W^T
  Numbers to;
  long ld;
  __device__ __forceinline__ void operator()(int r, int c) const {
    const int row = turned ? c : r, column = turned ? r : c;
    const bool there = row < w.panels.rows && column < w.panels.columns;
    to.put(r * ld + c, there ? w.data[in_panels(w.panels, row, column)] : 0.0f);
  }
};
template <class Numbers> struct RowsTaken {
  Numbers from;
  long ld;
  const float* bias;
  int period;
  bool accumulate;
  View y;
  __device__ __forceinline__ void operator()(int r, int c) const {
    float* const to = y.data + r * y.ld + c;
    const float first = accumulate ? *to : bias ? bias[c % period] : 0.0f;
    *to = first + from.get(r * ld + c);
  }
};
template <class Numbers> struct WeightTaken {
  Numbers from;
  long ld;
  bool turned, accumulate;
  Weight w;
  __device__ __forceinline__ void operator()(int r, int c) const {
    float* const to = w.data + in_panels(w.panels, r, c);
    const float x = from.get(turned ? c * ld + r : r * ld + c);
    *to = accumulate ? *to + x : x;
  }
};

Place of_rows(Place at, long rows) {
  at.rows = static_cast<int>(rows);
  return at;
}

}  // namespace

void lay_rows(const Place& at, const View& x, const Laid& to) {
  with_numbers(to, [&](const auto& numbers) {
    each(at, static_cast<int>(to.ld), RowsLaid{x, numbers, to.ld});
  });
}

void lay_weight(const Place& at, const Weight& w, bool turned, const Laid& to) {
  const long rows = turned ? w.panels.columns : w.panels.rows;
  with_numbers(to, [&](const auto& numbers) {
    each(of_rows(at, rows), static_cast<int>(to.ld), WeightLaid{w, turned, numbers, to.ld});
  });
}

void take_rows(const Place& at, const Laid& from, const float* bias, int period, bool accumulate,
               const View& y) {
  with_numbers(from, [&](const auto& numbers) {
    each(at, y.columns, RowsTaken{numbers, from.ld, bias, period, accumulate, y});
  });
}

void take_weight(const Place& at, const Laid& from, bool turned, bool accumulate, const Weight& w) {
  with_numbers(from, [&](const auto& numbers) {
    each(of_rows(at, w.panels.rows), static_cast<int>(w.panels.columns),
         WeightTaken{numbers, from.ld, turned, accumulate, w});
  });
}

}  // namespace steep::cuda
