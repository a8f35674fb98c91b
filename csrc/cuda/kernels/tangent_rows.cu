// What goes along the rows of a batch, in dual numbers: directions put together with weights, samples, softmax, copies
// of columns, sums and ranges along axes.
#include "cuda/kernels/tangent.cuh"

namespace steep::cuda {

namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    join_each(const float* w, const double* along, long n, DualNumber* point) {
  const long i = static_cast<long>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < n) put(point + i, {static_cast<double>(w[i]), along[i]});
}

template <bool kDerivative>
__global__ void __launch_bounds__(kThreads) take_each(const DualNumber* from, long n, double* to) {
  const long i = static_cast<long>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < n) to[i] = kDerivative ? from[i].d : from[i].v;
}

__global__ void __launch_bounds__(kThreads) direct_each(DualColumns of, long n, double* along) {
  const long i = static_cast<long>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < n) along[i] = i == of.places[*of.turn] ? 1 : 0;
}

__global__ void __launch_bounds__(kThreads) keep_each(DualColumns of, const DualNumber* gradient) {
  const long i = static_cast<long>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < of.count) of.kept[*of.turn % of.room * of.count + i] = gradient[of.places[i]].d;
}
__global__ void take_turn(int* turn) { ++*turn; }

struct Widened {
  View x;
  double scale, shift;
  STEEP_HD Dual operator()(int r, int c) const {
    return fma_(Dual(scale), Dual(static_cast<double>(x.data[r * x.ld + c])), Dual(shift));
  }
};

struct Turned {
  Duals z, dz;
  const double* back;
  double* outputs;
  STEEP_HD void operator()(int r, int c) const {
    const long i = static_cast<long>(r) * z.columns + c;
    if (outputs) outputs[i] = get(z, r, c).d;
    if (dz.data) put(place(dz, r, c), back ? back[i] : 0.0);
  }
};

// The largest of a position, and its derivative: of equal ones the one that the CPU's folds leave, or the first
// where they take several short positions side by side.
__device__ __forceinline__ Dual largest(const DualNumber* x, const Part& at, bool in_order) {
  Dual top = -__builtin_huge_val();
  if (in_order) {
    for (int c = 0; c < at.columns; ++c) top = max_(get(x + c), top);
    return top;
  }
  for (int c = at.lane; c < at.columns; c += kHalf) top = max_(get(x + c), top);
#pragma unroll
  for (int half = kHalf / 2; half > 0; half /= 2) top = max_(down(top, half), top);
  return first_of(top);
}

// Half a warp a position; sums fold as the CPU's.
__global__ void __launch_bounds__(64) softmax_rows(int rows, int positions, Duals x, Duals y) {
  const Part at(rows, positions, x.columns);
  const DualNumber* const in = place(x, at.r, at.from);
  DualNumber* const out = place(y, at.r, at.from);
  // The same for all lanes: those past the last position have no columns, but take part in the folds.
  const Dual top = largest(in, at, positions > 1 && x.columns / positions <= kHalf);
  Dual sum = 0;
  for (int c = at.lane; c < at.columns; c += kHalf) {
    const Dual e = exp_down(get(in + c) - top);
    put(out + c, e);
    sum += e;
  }
  const Dual scale = Dual(1) / fold(sum);
  for (int c = at.lane; c < at.columns; c += kHalf) put(out + c, get(out + c) * scale);
}

__global__ void __launch_bounds__(64)
    softmax_grad_rows(int rows, int positions, Duals dy, Duals y, Duals dx, bool accumulate) {
  const Part at(rows, positions, y.columns);
  const DualNumber *const up = place(dy, at.r, at.from), *const out = place(y, at.r, at.from);
  DualNumber* const to = place(dx, at.r, at.from);
  Dual sum = 0;
  for (int c = at.lane; c < at.columns; c += kHalf) sum = fma_(get(up + c), get(out + c), sum);
  const Dual dot = fold(sum);
  for (int c = at.lane; c < at.columns; c += kHalf) {
    const Dual value = get(out + c) * (get(up + c) - dot);
    leave(to + c, value, accumulate);
  }
}

struct Copied {  // a column of the copy is one of each pixel's
  Columns which;
  Duals x, y;
  bool accumulate;
  STEEP_HD void operator()(int r, int c) const {
    const int pixel = c / which.columns, column = c % which.columns;
    const int from = pixel * (x.columns / which.pixels) + which.from + column;
    DualNumber* const to = place(y, r, pixel * (y.columns / which.pixels) + which.to + column);
    const Dual value = get(x, r, from);
    leave(to, value, accumulate);
  }
};

// Terms one after the other.
struct SumOfAxis {
  Axes axes;
  double scale;
  Duals x;
  STEEP_HD Dual operator()(int r, int c) const {
    const DualNumber* const from =
        place(x, r, c / axes.inner * (axes.n * axes.inner) + c % axes.inner);
    Dual sum = get(from);
    for (int t = 1; t < axes.n; ++t) sum += get(from + static_cast<long>(t) * axes.inner);
    return Dual(scale) * sum;
  }
};
// Half a warp a sum of neighbours.
__global__ void __launch_bounds__(64)
    sum_neighbours(int rows, int outer, double scale, Duals x, Duals y, bool accumulate) {
  const Part at(rows, outer, x.columns);
  const DualNumber* const from = place(x, at.r, at.from);
  Dual sum = 0;
  for (int c = at.lane; c < at.columns; c += kHalf) sum += get(from + c);
  sum = Dual(scale) * fold(sum);
  if (!at.there || at.lane != 0) return;
  DualNumber* const to = place(y, at.r, at.from / at.columns);
  leave(to, sum, accumulate);
}

struct Repeated {
  Axes axes;
  double scale;
  Duals x;
  STEEP_HD Dual operator()(int r, int c) const {
    const int outer = c / (axes.n * axes.inner);
    return Dual(scale) * get(x, r, outer * axes.inner + c % axes.inner);
  }
};
struct Sliced {
  Axes axes;
  int first, columns;
  Duals x;
  STEEP_HD Dual operator()(int r, int c) const {
    return get(x, r, c / columns * (axes.n * axes.inner) + first + c % columns);
  }
};
struct PutBack {  // what lies outside of the range is left alone, or 0
  Axes axes;
  int first, columns;
  Duals dy, dx;
  bool accumulate;
  STEEP_HD void operator()(int r, int c) const {
    const int width = axes.n * axes.inner, at = c % width - first;
    DualNumber* const to = place(dx, r, c);
    if (at >= 0 && at < columns) {
      const Dual value = get(dy, r, c / width * columns + at);
      leave(to, value, accumulate);
    } else if (!accumulate) {
      put(to, 0);
    }
  }
};

}  // namespace

void join_direction(cudaStream_t stream, const float* w, const double* along, long n,
                    DualNumber* point) {
  start(stream, dim3(blocks_of(n, kThreads)), dim3(kThreads), join_each, w, along, n, point);
}

void take_derivatives(cudaStream_t stream, const DualNumber* from, long n, double* to) {
  start(stream, dim3(blocks_of(n, kThreads)), dim3(kThreads), take_each<true>, from, n, to);
}

void take_values(cudaStream_t stream, const DualNumber* from, long n, double* to) {
  start(stream, dim3(blocks_of(n, kThreads)), dim3(kThreads), take_each<false>, from, n, to);
}

void next_direction(cudaStream_t stream, const DualColumns& of, long n, double* along) {
  start(stream, dim3(blocks_of(n, kThreads)), dim3(kThreads), direct_each, of, n, along);
}

void keep_column(cudaStream_t stream, const DualColumns& of, const DualNumber* gradient) {
  start(stream, dim3(blocks_of(of.count, kThreads)), dim3(kThreads), keep_each, of, gradient);
  start(stream, dim3(1), dim3(1), take_turn, of.turn);
}

void widen(const Place& at, const View& x, double scale, double shift, const Duals& out) {
  write_each(at, out, false, Widened{x, scale, shift});
}

void turn_back(const Place& at, const Duals& z, const double* back, double* outputs,
               const Duals& dz) {
  each(at, z.columns, Turned{z, dz, back, outputs});
}

void softmax(const Place& at, int positions, const Duals& x, const Duals& y) {
  const long parts = static_cast<long>(at.rows) * positions;
  start(at.stream, dim3(blocks_of(parts, 64 / kHalf)), dim3(64), softmax_rows, at.rows, positions,
        x, y);
}

void softmax_grad(const Place& at, int positions, const Duals& dy, const Duals& y, const Duals& dx,
                  bool accumulate) {
  const long parts = static_cast<long>(at.rows) * positions;
  start(at.stream, dim3(blocks_of(parts, 64 / kHalf)), dim3(64), softmax_grad_rows, at.rows,
        positions, dy, y, dx, accumulate);
}

void copy_columns(const Place& at, const Columns& which, const Duals& x, const Duals& y,
                  bool accumulate) {
  each(at, which.columns * which.pixels, Copied{which, x, y, accumulate});
}

void sum_axes(const Place& at, const Axes& axes, double scale, const Duals& x, const Duals& y,
              bool accumulate) {
  if (axes.inner > 1) return write_each(at, y, accumulate, SumOfAxis{axes, scale, x});
  const long sums = static_cast<long>(at.rows) * axes.outer;
  start(at.stream, dim3(blocks_of(sums, 64 / kHalf)), dim3(64), sum_neighbours, at.rows, axes.outer,
        scale, x, y, accumulate);
}

void repeat_axes(const Place& at, const Axes& axes, double scale, const Duals& x, const Duals& y,
                 bool accumulate) {
  write_each(at, y, accumulate, Repeated{axes, scale, x});
}

void slice_axes(const Place& at, const Axes& axes, int first, int last, const Duals& x,
                const Duals& y) {
  write_each(at, y, false, Sliced{axes, first * axes.inner, (last - first) * axes.inner, x});
}

void slice_axes_grad(const Place& at, const Axes& axes, int first, int last, const Duals& dy,
                     const Duals& dx, bool accumulate) {
  each(at, dx.columns,
       PutBack{axes, first * axes.inner, (last - first) * axes.inner, dy, dx, accumulate});
}

}  // namespace steep::cuda
