// How a block takes rows through all steps: which of its threads has which rows and unit, U in shared memory as
// far as it fits, and sums by it. The steps themselves are recurrent.cu and recurrent_grad.cu.
#pragma once
#include "cuda/kernels/recurrent.cuh"

namespace steep::cuda {

// Of a block whose threads have so many rows: those of four want more registers. All units have one.
template <int kRows> constexpr int kMostThreads = kRows > 2 ? 320 : 512;
constexpr int kRowsEach = 128;  // blocks there should be: about one for each multiprocessor

STEEP_HD int whole_of(int n, int each) { return (n + each - 1) / each * each; }

// A thread has a unit of `kRows` neighbouring rows; lanes beyond the units only wait. Groups of threads have
// other rows.
struct Crew {
  int lanes, groups, rows;  // of a group; of a block; of a thread
  Crew(int units, int batch) {
    const int wanted = (batch + kRowsEach - 1) / kRowsEach;
    lanes = whole_of(units, 32);
    rows = wanted > 3 ? 4 : wanted > 1 ? 2 : 1;
    const int most = (rows > 2 ? kMostThreads<4> : kMostThreads<1>) / lanes;
    const int enough = (wanted + rows - 1) / rows;
    groups = enough < most ? enough : most;
  }
  int together() const { return groups * rows; }
};
template <class F> void with_rows(int rows, const F& f) {
  if (rows == 1) return f.template operator()<1>();
  if (rows == 2) return f.template operator()<2>();
  f.template operator()<4>();
}

struct Mine {  // of a thread
  int lanes, j, group, first, together, ld;
  bool there;
  __device__ Mine(int units, int rows)
      : lanes(whole_of(units, 32)), j(static_cast<int>(threadIdx.x) % lanes),
        group(static_cast<int>(threadIdx.x) / lanes),
        first(static_cast<int>(blockIdx.x * (blockDim.x / lanes)) * rows + group * rows),
        together(static_cast<int>(blockDim.x) / lanes * rows), ld(whole_of(units, 4)),
        there(j < units) {}
};

// A matrix in panels whose first rows lie in shared memory, too.
struct Staged {
  Weight w;
  bool narrow;  // W^T is stored: nothing is staged
  int rows;
};

// How many rows fit beside so many bytes of other things, a whole number of fours unless it is all.
int rows_that_fit(const Weight& w, bool narrow, long others);

// Launches kernel<unit, rows of a thread>() of w over blocks that take a batch through all steps: as much of its matrix u
// lies in shared memory as fits beside `room` numbers of the rows of a block.
template <class W, class Kernel>
void take_rows(const Place& at, W w, Staged W::* u, int (*room)(const Steps&, int),
               const Kernel& kernel) {
  const Crew crew(w.s.units, at.rows);
  const long others = room(w.s, crew.together()) * static_cast<long>(sizeof(float));
  Staged& of = w.*u;
  of.rows = rows_that_fit(of.w, of.narrow, others);
  const long bytes = of.rows * of.w.panels.width() * static_cast<long>(sizeof(float)) + others;
  const dim3 grid(blocks_of(at.rows, crew.together()));
  const dim3 block(static_cast<unsigned>(crew.groups * crew.lanes));
  with_unit(w.s.unit, [&]<Unit kUnit>() {
    with_rows(crew.rows, [&]<int kRows>() {
      start_with(static_cast<std::size_t>(bytes), at.stream, grid, block,
                 kernel.template operator()<kUnit, kRows>(), w);
    });
  });
}

__device__ __forceinline__ void stage(const Staged& from, float* to) {
  const Panels& p = from.w.panels;
  const int count = from.rows > 0 ? static_cast<int>(p.count()) : 0;
  for (int panel = 0; panel < count; ++panel) {
    const int fours = from.rows * static_cast<int>(p.width(panel)) / 4;
    const Four* const in = reinterpret_cast<const Four*>(from.w.data + p.offset(panel));
    Four* const out = reinterpret_cast<Four*>(to + panel * kPanel * from.rows);
    for (int i = static_cast<int>(threadIdx.x); i < fours; i += static_cast<int>(blockDim.x))
      out[i] = in[i];
  }
}

// A column of it, in shared memory and where it is stored.
struct Column32 {
  const float *near, *far;
  int step;
  Column32() = default;
  __device__ Column32(const Staged& of, const float* staged, int column) {
    const Panels& p = of.w.panels;
    const int panel = of.narrow ? 0 : column / static_cast<int>(kPanel);
    const int within = column % static_cast<int>(kPanel);
    step = of.narrow ? 1 : static_cast<int>(p.width(panel));
    near = staged + panel * kPanel * of.rows + within;
    far = of.w.data + (of.narrow ? p.at(column, 0) : p.offset(panel) + within);
  }
};

// sum[g][i] += from[i][k]*w[g][k*step] of k from `first` on, ascending; rows of `from` are `ld` apart, and 16
// bytes are read of them at once.
template <int kSums, int kRows>
__device__ __forceinline__ void add_terms(float (&sum)[kSums][kRows], const float* from, int ld,
                                          const float* (&w)[kSums], const int (&step)[kSums],
                                          int first, int last) {
  [[maybe_unused]] constexpr int kAhead = kRows == 1 ? 4 : 2;  // loads on their way: registers
  int k = first;
#pragma unroll kAhead
  for (; k + 4 <= last; k += 4) {
    Four x[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i) x[i] = *reinterpret_cast<const Four*>(from + i * ld + k);
#pragma unroll
    for (int p = 0; p < 4; ++p)
#pragma unroll
      for (int g = 0; g < kSums; ++g) {
        const float y = w[g][p * step[g]];
#pragma unroll
        for (int i = 0; i < kRows; ++i) sum[g][i] = fma_(x[i].of[p], y, sum[g][i]);
      }
#pragma unroll
    for (int g = 0; g < kSums; ++g) w[g] += 4 * step[g];
  }
  for (; k < last; ++k) {
#pragma unroll
    for (int g = 0; g < kSums; ++g) {
      const float y = w[g][0];
      w[g] += step[g];
#pragma unroll
      for (int i = 0; i < kRows; ++i) sum[g][i] = fma_(from[i * ld + k], y, sum[g][i]);
    }
  }
}

// The same by rows [begin, begin + n) of columns of a staged matrix.
template <int kSums, int kRows>
__device__ __forceinline__ void add_products(float (&sum)[kSums][kRows], const float* from, int ld,
                                             const Column32* columns, int staged, int begin,
                                             int n) {
  const float* w[kSums];
  int step[kSums];
  const int left = staged - begin;
  const int near = left >= n ? n : left > 0 ? left / 4 * 4 : 0;
#pragma unroll
  for (int g = 0; g < kSums; ++g) {
    step[g] = columns[g].step;
    w[g] = columns[g].near + begin * step[g];
  }
  add_terms(sum, from, ld, w, step, 0, near);
#pragma unroll
  for (int g = 0; g < kSums; ++g) w[g] = columns[g].far + (begin + near) * step[g];
  add_terms(sum, from, ld, w, step, near, n);
}

// The most steps that a row of the block has: the same for all of its threads.
__device__ __forceinline__ int most_steps(const Steps& s, const View& start, int together,
                                          int rows) {
  if (!s.lengths) return s.steps;
  int most = 0;
  for (int i = 0; i < together; ++i) {
    const int r = static_cast<int>(blockIdx.x) * together + i;
    const int count = r < rows ? count_of(s, start, r) : 0;
    most = count > most ? count : most;
  }
  return most;
}

}  // namespace steep::cuda
