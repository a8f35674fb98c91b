// The stages of Newton-Schulz, which make a matrix orthogonal: the sums of the CPU's, term by term. What is symmetric
// is computed above its diagonal, 16 by 16, and mirrored. Which stage follows which is the host's.
#include "cuda/kernels/each.cuh"
#include "cuda/kernels/product.cuh"
#include "cuda/kernels/update.cuh"

namespace steep::cuda {

namespace {

constexpr int kTerms = 2;  // of a task, of which the first is its sum of squares

Dense<float> dense(const Plane& x) { return {x.data, x.ld, x.columns, Divisor()}; }
STEEP_HD float* at(const Plane& x, int r, int c) { return x.data + r * x.ld + c; }

// What each matrix is multiplied by first. A length beyond all numbers is none: the step is refused.
__global__ void __launch_bounds__(64)
    find_lengths(Now now, PassSums sums, int group_knobs, QuinticKnobs of, float* factors) {
  const int i = static_cast<int>(blockIdx.x * 64 + threadIdx.x);
  if (i >= sums.parameters) return;
  const int p = sums.owners[i];
  double squares = 0;
  for (int task = sums.first[p]; task < sums.first[p + 1]; ++task)
    squares += sums.terms[kTerms * task];
  const double* const knobs = now.limits + static_cast<long>(here(now)) * now.columns + now.first +
                              group_knobs + kGroupKnobs;
  const double least = knobs[of.least] * knobs[of.least];
  const double length = __builtin_sqrt(squares < least ? least : squares) + knobs[of.eps];
  factors[i] = !is_finite(squares) ? __builtin_nanf("")
               : length == 0       ? 0.0f
                                   : static_cast<float>(1 / length);
}

// Element (r, c) of x, as the matrix is stored.
struct Stored {
  Panels panels;
  bool turned;
  STEEP_HD long operator()(int r, int c) const {
    return turned ? panels.at(c, r) : panels.at(r, c);
  }
};
struct Begin {
  Stored where;
  const float *from, *factor;
  Plane x;
  STEEP_HD void operator()(int r, int c) const { *at(x, r, c) = *factor * from[where(r, c)]; }
};
struct End {
  Stored where;
  Plane x;
  float* to;
  STEEP_HD void operator()(int r, int c) const { to[where(r, c)] = *at(x, r, c); }
};

struct Mirrored {
  Plane out;
  STEEP_HD float init(int, int) const { return 0.0f; }
  STEEP_HD void store(int m, int n, float sum) const {
    const int row = m / static_cast<int>(kLane), column = n / static_cast<int>(kLane);
    if (row > column) return;
    *at(out, m, n) = sum;
    if (row < column) *at(out, n, m) = sum;
  }
};
// aI + bA + cAA
struct Polynomial {
  Now now;
  int group_knobs;
  QuinticKnobs of;
  Plane gram;
  Mirrored out;
  STEEP_HD float init(int, int) const { return 0.0f; }
  __device__ __forceinline__ void store(int m, int n, float sum) const {
    if (m / static_cast<int>(kLane) > n / static_cast<int>(kLane)) return;
    const float* const knobs = knobs_of(now) + group_knobs + kGroupKnobs;
    float p = knobs[of.c] * sum + knobs[of.b] * *at(gram, m, n);
    if (m == n) p += knobs[of.a];
    out.store(m, n, p);
  }
};
struct Whole {
  Plane out;
  STEEP_HD float init(int, int) const { return 0.0f; }
  STEEP_HD void store(int m, int n, float sum) const { *at(out, m, n) = sum; }
};

template <class F> void each_element_of(const Place& place, const Plane& x, const F& f) {
  Place rows = place;
  rows.rows = x.rows;
  each(rows, x.columns, f);
}

}  // namespace

void orthogonal_lengths(const Place& place, const PassSums& sums, int group_knobs,
                        const QuinticKnobs& of, float* factors) {
  start(place.stream, dim3(blocks_of(sums.parameters, 64)), dim3(64), find_lengths, place.now, sums,
        group_knobs, of, factors);
}

void orthogonal_begin(const Place& place, const Panels& stored, bool turned, const float* from,
                      const float* factor, const Plane& x) {
  each_element_of(place, x, Begin{{stored, turned}, from, factor, x});
}

void orthogonal_end(const Place& place, const Panels& stored, bool turned, const Plane& x,
                    float* to) {
  each_element_of(place, x, End{{stored, turned}, x, to});
}

void symmetric_product(const Place& place, const Plane& left, const Plane& right,
                       const Plane& out) {
  run_exact(place.stream, {out.rows, out.columns, left.rows}, ColumnMajor{dense(left)},
            ColumnMajor{dense(right)}, Mirrored{out}, NothingSummed{});
}

void quintic_of(const Place& place, int group_knobs, const QuinticKnobs& of, const Plane& gram,
                const Plane& out) {
  run_exact(place.stream, {out.rows, out.columns, gram.rows}, ColumnMajor{dense(gram)},
            ColumnMajor{dense(gram)}, Polynomial{place.now, group_knobs, of, gram, {out}},
            NothingSummed{});
}

void plain_product(const Place& place, const Plane& x, const Plane& q, const Plane& out) {
  run_exact(place.stream, {out.rows, out.columns, x.columns}, RowMajor{dense(x)},
            ColumnMajor{dense(q)}, Whole{out}, NothingSummed{});
}

}  // namespace steep::cuda
