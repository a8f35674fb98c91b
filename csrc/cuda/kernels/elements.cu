// Arrays of others: a thread an element, wherever its strides put it. Nothing here is in a step.
#include <type_traits>

#include "cuda/kernels/elements.h"
#include "cuda/kernels/kernel.cuh"

namespace steep::cuda {

namespace {

constexpr int kThreads = 256;

// Sixteen bits that no type of C++ has, beside those of storage.cuh.
struct Half { uint16_t bits; };

template <class T> STEEP_HD T value_of(T x) { return x; }
STEEP_HD float value_of(Brain x) { return widened(x); }
STEEP_HD float value_of(Half x) {
  const uint32_t sign = (x.bits & 0x8000u) << 16, rest = x.bits & 0x7fffu;
  if (rest < 0x0400u) {  // in 2^-24
    const float size = static_cast<float>(rest) * 0x1p-24f;
    return sign != 0 ? -size : size;
  }
  const uint32_t bias = rest < 0x7c00u ? 112u << 23 : 224u << 23;  // the latter to infinity and NaN
  return float_(static_cast<int32_t>(sign | ((rest << 13) + bias)));
}

template <class T> __device__ T element(const Strided& of, long i) {
  const std::byte* at = of.data;
  for (int a = of.axes - 1; a > 0; --a) {
    const long outer = i / of.shape[a];
    at += (i - outer * of.shape[a]) * of.strides[a];
    i = outer;
  }
  return *reinterpret_cast<const T*>(at + i * of.strides[0]);
}

__device__ __forceinline__ long number_of_thread() {
  return static_cast<long>(blockIdx.x) * kThreads + threadIdx.x;
}

template <class From, class To>
__global__ void __launch_bounds__(kThreads) convert_each(Strided from, To* to) {
  const long i = number_of_thread();
  if (i >= from.size) return;
  if constexpr (std::is_same_v<From, To>) {
    to[i] = element<From>(from, i);
  } else {
    to[i] = static_cast<To>(value_of(element<From>(from, i)));
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    find_each(Strided of, Wanted wanted, unsigned long long* found) {
  const long i = number_of_thread();
  if (i >= of.size) return;
  const double x = static_cast<double>(value_of(element<T>(of, i)));
  const bool inside = x >= wanted.low && x <= wanted.high;  // not of NaN
  const bool good = inside && (!wanted.whole || x == __builtin_floor(x));
  if (!good && x != wanted.besides) atomicMin(found, static_cast<unsigned long long>(i));
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    find_sum(Strided of, long columns, double low, double high, unsigned long long* found) {
  const long row = number_of_thread();
  if (row * columns >= of.size) return;
  double sum = 0;
  for (long c = 0; c < columns; ++c) {
    sum += static_cast<double>(value_of(element<T>(of, row * columns + c)));
  }
  if (!(sum >= low && sum <= high)) atomicMin(found, static_cast<unsigned long long>(row));
}

template <class F> void with_type(Number number, const F& f) {
  switch (number) {
    case Number::UInt8: return f(uint8_t{});
    case Number::Int8: return f(int8_t{});
    case Number::UInt16: return f(uint16_t{});
    case Number::Int16: return f(int16_t{});
    case Number::UInt32: return f(uint32_t{});
    case Number::Int32: return f(int32_t{});
    case Number::UInt64: return f(uint64_t{});
    case Number::Int64: return f(int64_t{});
    case Number::Float16: return f(Half{});
    case Number::BFloat16: return f(Brain{});
    case Number::Float32: return f(float{});
    case Number::Float64: return f(double{});
  }
}

// Threads of a kernel, an element or a row each.
template <class... Parameters, class... Arguments>
void start_each(cudaStream_t stream, long threads, void (*kernel)(Parameters...),
                const Arguments&... arguments) {
  start(stream, dim3(blocks_of(threads, kThreads)), dim3(kThreads), kernel, arguments...);
}

}  // namespace

void convert(cudaStream_t stream, const Strided& from, Number number, std::byte* to) {
  with_type(from.number, [&]<class From>(From) {
    if (number == from.number) {
      start_each(stream, from.size, convert_each<From, From>, from, reinterpret_cast<From*>(to));
    } else if (number == Number::Int32) {
      start_each(stream, from.size, convert_each<From, int32_t>, from,
                 reinterpret_cast<int32_t*>(to));
    } else {
      start_each(stream, from.size, convert_each<From, float>, from, reinterpret_cast<float*>(to));
    }
  });
}

void find_unwanted(cudaStream_t stream, const Strided& of, const Wanted& wanted,
                   unsigned long long* found) {
  with_type(of.number,
            [&]<class T>(T) { start_each(stream, of.size, find_each<T>, of, wanted, found); });
}

void find_unwanted_sum(cudaStream_t stream, const Strided& of, long columns, double low,
                       double high, unsigned long long* found) {
  with_type(of.number, [&]<class T>(T) {
    start_each(stream, of.size / columns, find_sum<T>, of, columns, low, high, found);
  });
}

}  // namespace steep::cuda
