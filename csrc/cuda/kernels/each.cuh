// The loop of every elementwise kernel: f(r, c) for the rows of a batch and the columns of a tensor, a thread
// each. Values live with their kernels.
#pragma once
#include "cuda/kernels/divisor.h"
#include "cuda/kernels/kernel.cuh"

namespace steep::cuda {

template <class F>
__global__ void __launch_bounds__(256)
    each_element(F f, unsigned size, Divisor by_columns, int first) {
  const unsigned i = blockIdx.x * 256 + threadIdx.x;
  if (i >= size) return;
  const Divisor::Parts at = by_columns.of(static_cast<int>(i));
  f(first + at.quotient, at.rest);
}

// Few enough rows at a time that elements are counted in 31 bits.
template <class F> void each(const Place& at, int columns, const F& f) {
  const long most = (1L << 30) / columns;
  for (long first = 0; first < at.rows; first += most) {
    const long rows = at.rows - first < most ? at.rows - first : most;
    const auto size = static_cast<unsigned>(rows * columns);
    start(at.stream, dim3(blocks_of(size, 256)), dim3(256), each_element<F>, f, size,
          Divisor(columns), static_cast<int>(first));
  }
}

// y(r, c) (+)= value(r, c)
template <class Value, class By> struct Written {
  View y;
  bool accumulate;
  Value value;
  __device__ __forceinline__ void operator()(int r, int c) const {
    const long place = r * y.ld + c;
    const float x = value(r, c);
    By::put(y, place, accumulate ? By::get(y, place) + x : x);
  }
};
template <class By = Floats, class Value>
void write_each(const Place& at, const View& y, bool accumulate, const Value& value) {
  each(at, y.columns, Written<Value, By>{y, accumulate, value});
}

// The same of Value<By>, made of these, which reads tensors as they are.
STEEP_HD bool is_brains(const View& x) { return x.bfloat16; }
template <class T> STEEP_HD bool is_brains(const T&) { return false; }
template <template <class> class Value, class... Of>
void write_values(const Place& at, const View& y, bool accumulate, const Of&... of) {
  y.bfloat16 || (is_brains(of) || ...)
      ? write_each<Either>(at, y, accumulate, Value<Either>{of...})
      : write_each<Floats>(at, y, accumulate, Value<Floats>{of...});
}

// The same by four neighbours, where value is whole() and y aligned: value.four(r, c).
template <class Value, class By> struct WrittenFours {
  View y;
  bool accumulate;
  Value value;
  __device__ __forceinline__ void operator()(int r, int quarter) const {
    const long place = r * y.ld + 4L * quarter;
    Four x = value.four(r, 4 * quarter);
    if (accumulate) {
      const Four old = By::four(y, place);
#pragma unroll
      for (int i = 0; i < 4; ++i) x.of[i] = old.of[i] + x.of[i];
    }
    By::put_four(y, place, x);
  }
};
template <class By = Floats, class Value>
void write_fours(const Place& at, const View& y, bool accumulate, const Value& value) {
  if (y.columns % 4 != 0 || !aligned(y) || !value.whole()) {
    return write_each<By>(at, y, accumulate, value);
  }
  each(at, y.columns / 4, WrittenFours<Value, By>{y, accumulate, value});
}

template <class By = Floats> STEEP_HD float at(const View& x, int r, int c) {
  return By::get(x, r * x.ld + c);
}

}  // namespace steep::cuda
