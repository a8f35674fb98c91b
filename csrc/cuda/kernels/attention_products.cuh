// The products within attention: of a tile's queries by its keys, and of a tile by rows of a head. Exact ones are
// summed by one thread each, k ascending, in the CPU's order; on tensor cores both factors are rounded as they are
// read from shared memory. Which products there are: attention.cuh.
#pragma once
#include "cuda/kernels/attention.h"
#include "cuda/kernels/tensor.cuh"

namespace steep::cuda {

constexpr int kAttending = 256;  // threads

struct Exact {};
template <int kQ, int kK, int kN, class F = Exact> struct Tiling {
  using Format = F;
  static constexpr bool exact = std::is_same_v<F, Exact>;
  static constexpr int q = kQ, k = kK, n = kN;  // queries, keys, and numbers of a head at a time
  static constexpr int rows = kQ / kHalf, columns = kK / kHalf;  // of a thread
  // What keeps rows that are read together on different banks.
  static constexpr int stride = kN + 4, pad = kHalf / rows;
};

// N floats that lie together, read at once.
template <int N> struct alignas(4 * N) Some { float of[N]; };
template <int N> __device__ __forceinline__ Some<N> some(const float* p) {
  return *reinterpret_cast<const Some<N>*>(p);
}

// ---- Which part of which head ----

struct Block {
  int sample, head, first, n0;  // its first row; of the head's numbers the first one that it sums
};
// Blocks of one head follow each other; those that see most keys come first.
template <int kSide, int kN>
__device__ __forceinline__ Block block_of(const Heads& of, int length, bool last_first) {
  const int chunks = (of.size + kN - 1) / kN, tiles = (length + kSide - 1) / kSide;
  int i = static_cast<int>(blockIdx.x);
  const int chunk = i % chunks;
  i /= chunks;
  const int tile = last_first ? tiles - 1 - i % tiles : i % tiles;
  i /= tiles;
  return {i / of.heads, i % of.heads, tile * kSide, chunk * kN};
}
template <class T> long blocks_of(const Heads& of, int samples, int length, int side) {
  const long chunks = (of.size + T::n - 1) / T::n, tiles = (length + side - 1) / side;
  return chunks * tiles * of.heads * samples;
}

struct HeadRows {  // of one head of a sample
  float* data;
  int step, rows, columns;
  __device__ __forceinline__ HeadRows(const Positions& p, const Block& at, int size, int count)
      : data(p.data + at.sample * p.ld + static_cast<long>(at.head) * size), step(p.step),
        rows(count), columns(size) {}
  __device__ __forceinline__ float* row(int r) const { return data + r * step; }
};

// ---- A tile of scores ----

template <class T> struct Mine {  // where this thread's elements of a tile are
  const int lane = static_cast<int>(threadIdx.x) % kHalf;
  const int row = static_cast<int>(threadIdx.x) / kHalf * T::rows;
  // f(i, j, row, column)
  template <class F> __device__ __forceinline__ void each(const F& f) const {
#pragma unroll
    for (int i = 0; i < T::rows; ++i)
#pragma unroll
      for (int j = 0; j < T::columns; ++j) f(i, j, row + i, lane + j * kHalf);
  }
};
template <class T> using Scores = float[T::rows][T::columns];

// ---- Exact ----

// of(r, c) += a(r, k) b(c, k) for k < depth; so many times four k at once.
template <class T, int kTogether> struct ExactDots {
  Scores<T> of = {};
  __device__ __forceinline__ void add(const float* a, const float* b, int depth) {
    const Mine<T> mine;
    a += mine.row * T::stride;
    b += mine.lane * T::stride;
    int k = 0;
#pragma unroll kTogether
    for (; k + 4 <= depth; k += 4) {
      Some<4> x[T::rows], y[T::columns];
#pragma unroll
      for (int i = 0; i < T::rows; ++i) x[i] = some<4>(a + i * T::stride + k);
#pragma unroll
      for (int j = 0; j < T::columns; ++j) y[j] = some<4>(b + j * kHalf * T::stride + k);
#pragma unroll
      for (int p = 0; p < 4; ++p)
#pragma unroll
        for (int i = 0; i < T::rows; ++i)
#pragma unroll
          for (int j = 0; j < T::columns; ++j) of[i][j] = fma_(x[i].of[p], y[j].of[p], of[i][j]);
    }
#pragma unroll 1
    for (; k < depth; ++k)
#pragma unroll
      for (int i = 0; i < T::rows; ++i)
#pragma unroll
        for (int j = 0; j < T::columns; ++j)
          of[i][j] = fma_(a[i * T::stride + k], b[j * kHalf * T::stride + k], of[i][j]);
  }
  __device__ __forceinline__ void get(float*, int, Scores<T>& to) const {
    Mine<T>().each([&](int i, int j, int, int) { to[i][j] = of[i][j]; });
  }
};

// This thread's sums of kSide rows by kN numbers: some rows that follow each other, some numbers that do.
template <int kSide, int kN> struct ExactSums {
  static constexpr int kAll = kSide * kN / kAttending;
  static constexpr int numbers = kAll < 4 ? kAll : 4, rows = kAll / numbers;
  const int row = static_cast<int>(threadIdx.x) / (kN / numbers) * rows;
  const int n = static_cast<int>(threadIdx.x) % (kN / numbers) * numbers;
  float of[rows][numbers] = {};

  // of(r, n) += x(r, c) b(c, n) for c < count, a multiple of 4
  __device__ __forceinline__ void add(const float* x, int ld, const float* b, int count) {
    x += row * ld;
    b += n;
#pragma unroll 2
    for (int c = 0; c < count; c += 4) {
      Some<4> left[rows];
#pragma unroll
      for (int r = 0; r < rows; ++r) left[r] = some<4>(x + r * ld + c);
#pragma unroll
      for (int p = 0; p < 4; ++p) {
        const Some<numbers> right = some<numbers>(b + (c + p) * (kN + 4));
#pragma unroll
        for (int r = 0; r < rows; ++r)
#pragma unroll
          for (int i = 0; i < numbers; ++i) of[r][i] = fma_(left[r].of[p], right.of[i], of[r][i]);
      }
    }
  }
  // of(r, n) += x(c, r) b(c, n) for c of [from, to)
  __device__ __forceinline__ void add_turned(const float* x, int ld, const float* b, int from,
                                             int to) {
    x += row;
    b += n;
#pragma unroll 2
    for (int c = from; c < to; ++c) {
      const Some<rows> left = some<rows>(x + c * ld);
      const Some<numbers> right = some<numbers>(b + c * (kN + 4));
#pragma unroll
      for (int r = 0; r < rows; ++r)
#pragma unroll
        for (int i = 0; i < numbers; ++i) of[r][i] = fma_(left.of[r], right.of[i], of[r][i]);
    }
  }
  // f(address, sum) of those that there are
  template <class F>
  __device__ __forceinline__ void each(const HeadRows& to, const Block& at, const F& f) {
#pragma unroll
    for (int r = 0; r < rows; ++r)
#pragma unroll
      for (int i = 0; i < numbers; ++i) {
        const int line = at.first + row + r, column = at.n0 + n + i;
        if (line < to.rows && column < to.columns) f(to.row(line) + column, of[r][i]);
      }
  }
};

// ---- On tensor cores ----

// Eight warps over kM by kN sums, each some fragments of 16 by 8; some have none where there are few.
template <class Format, int kM, int kN> struct Fragmented {
  static constexpr int across = kN < 32 ? kN / 8 : 4, most = 8 / across;
  static constexpr int down = kM / 16 < most ? kM / 16 : most;
  static constexpr int rm = kM / 16 / down, rn = kN / 8 / across;
  static constexpr int kStep = 8 * Format::kNumbers;
  const int g = static_cast<int>(threadIdx.x) % 32 / 4, t = static_cast<int>(threadIdx.x) % 4;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int row = warp / across * rm * 16 + g, column = warp % across * rn * 8;
  float sum[rm][rn][4] = {};

  // sum(m, n) += a(m, k) b(n, k) for k < depth
  template <class A, class B>
  __device__ __forceinline__ void add(const A& a, const B& b, int depth) {
    if (warp >= down * across) return;
#pragma unroll 2
    for (int k = 0; k < depth; k += kStep) {
      uint32_t x[rm][4], y[rn][2];
#pragma unroll
      for (int i = 0; i < rm; ++i)
#pragma unroll
        for (int e = 0; e < 4; ++e) x[i][e] = word(a, row + 16 * i + 8 * (e % 2), k, e / 2);
#pragma unroll
      for (int j = 0; j < rn; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) y[j][e] = word(b, column + 8 * j + g, k, e);
#pragma unroll
      for (int i = 0; i < rm; ++i)
#pragma unroll
        for (int j = 0; j < rn; ++j) Format::multiply(sum[i][j], x[i], y[j]);
    }
  }
  template <class A>
  __device__ __forceinline__ uint32_t word(const A& a, int line, int k, int half) const {
    typename Format::Numbers of;
#pragma unroll
    for (int p = 0; p < Format::kNumbers; ++p)
      of[p] = a(line, k + (t + 4 * half) * Format::kNumbers + p);
    return Format::word(of);
  }
  // f(row, column, sum)
  template <class F> __device__ __forceinline__ void each(const F& f) {
    if (warp >= down * across) return;
#pragma unroll
    for (int i = 0; i < rm; ++i)
#pragma unroll
      for (int j = 0; j < rn; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          f(row + 16 * i + 8 * (e / 2), column + 8 * j + 2 * t + e % 2, sum[i][j][e]);
  }
};

template <class T> struct TensorDots {
  Fragmented<typename T::Format, T::q, T::k> of;
  __device__ __forceinline__ void add(const float* a, const float* b, int depth) {
    of.add([=](int m, int k) { return a[m * T::stride + k]; },
           [=](int n, int k) { return b[n * T::stride + k]; }, depth);
  }
  // By way of shared memory that nobody reads.
  __device__ __forceinline__ void get(float* stage, int ld, Scores<T>& to) {
    of.each([&](int m, int n, float sum) { stage[m * ld + n] = sum; });
    __syncthreads();
    Mine<T>().each([&](int i, int j, int m, int n) { to[i][j] = stage[m * ld + n]; });
  }
};

// What is beyond the keys or queries that there are is 0 in one factor.
template <class T, int kSide, int kDepth> struct TensorSums {
  static constexpr int row = 0;
  Fragmented<typename T::Format, kSide, T::n> of;
  __device__ __forceinline__ void add(const float* x, int ld, const float* b, int) {
    of.add([=](int m, int k) { return x[m * ld + k]; },
           [=](int n, int k) { return b[k * T::stride + n]; }, kDepth);
  }
  __device__ __forceinline__ void add_turned(const float* x, int ld, const float* b, int, int) {
    of.add([=](int m, int k) { return x[k * ld + m]; },
           [=](int n, int k) { return b[k * T::stride + n]; }, kDepth);
  }
  template <class F>
  __device__ __forceinline__ void each(const HeadRows& to, const Block& at, const F& f) {
    of.each([&](int m, int n, float& sum) {
      const int line = at.first + m, column = at.n0 + n;
      if (line < to.rows && column < to.columns) f(to.row(line) + column, sum);
    });
  }
};

// ---- Of a tiling ----

template <class T, int kTogether = 2>
using Dots = std::conditional_t<T::exact, ExactDots<T, kTogether>, TensorDots<T>>;
// Sums of T::q rows of queries over keys, and of T::k rows of keys over queries.
template <class T> using SumsOfQueries =
    std::conditional_t<T::exact, ExactSums<T::q, T::n>, TensorSums<T, T::q, T::k>>;
template <class T> using SumsOfKeys =
    std::conditional_t<T::exact, ExactSums<T::k, T::n>, TensorSums<T, T::k, T::q>>;

}  // namespace steep::cuda
