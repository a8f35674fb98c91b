// Products of two tensors, matrix by matrix: the tiled product, one launch for those of all samples.
#include "cuda/kernels/batch_matmul.h"
#include "cuda/kernels/product.cuh"

namespace steep::cuda {

namespace {

constexpr int kMost = 65535;  // products of a launch

// Stack that lie dense behind each other in the rows of a batch, counted from `first` on.
struct Stack {
  float* data;
  long ld;
  int places, size, first;
  STEEP_HD float* matrix(int z) const {
    const int i = first + z;
    return data + i / places * ld + static_cast<long>(i % places) * size;
  }
};

// Neighbouring k lie together, or else lines do.
template <bool kTogether> struct Side {
  static constexpr bool kFastK = kTogether;
  using Line = const float*;
  Stack of;
  int step;
  bool whole;  // four neighbours may be read at once
  const float* from = nullptr;
  Side(const Stack& all, int line)
      : of(all), step(line),
        whole(line % 4 == 0 && all.size % 4 == 0 && aligned(all.data, all.ld)) {}
  STEEP_HD Side part(int z) const {
    Side one = *this;
    one.from = of.matrix(z);
    return one;
  }
  STEEP_HD Line line(int i) const { return from + static_cast<long>(i) * step; }
  STEEP_HD Four four(Line line, int k, int left) const
    requires kTogether
  {
    return four_at(line + k, whole, left);
  }
  STEEP_HD Beside<float> lines(int i, int all) const
    requires(!kTogether)
  {
    return {from + i, all - i};
  }
  STEEP_HD Four four(const Beside<float>& at, int k) const
    requires(!kTogether)
  {
    return four_at(at.data + static_cast<long>(k) * step, whole, at.left);
  }
};

struct Result {
  Stack of;
  int columns;
  bool accumulate;
  bool aligned;
  float* to;
  STEEP_HD Result part(int z) const { return {of, columns, accumulate, aligned, of.matrix(z)}; }
  STEEP_HD float* place(int m, int n) const { return to + static_cast<long>(m) * columns + n; }
  STEEP_HD float init(int m, int n) const { return accumulate ? *place(m, n) : 0.0f; }
  STEEP_HD float value(int, int, float sum) const { return sum; }
};

}  // namespace

void batch_matmul(const Place& at, const Pairs& of, const View& a, const View& b, const View& c,
                  bool accumulate) {
  const int all = at.rows * of.places;
  for (int first = 0; first < all; first += kMost) {
    const Sizes sizes{of.rows, of.columns, of.depth, all - first < kMost ? all - first : kMost};
    const auto stack = [&](const View& x, int size) {
      return Stack{x.data, x.ld, of.places, size, first};
    };
    const bool whole = of.columns % 4 == 0 && aligned(c.data, c.ld);
    const Result to{stack(c, of.rows * of.columns), of.columns, accumulate, whole, nullptr};
    const Stack left = stack(a, of.rows * of.depth), right = stack(b, of.depth * of.columns);
    const auto by = [&](const auto& x) {
      of.turned_b ? run_product(at, sizes, x, Side<true>{right, of.depth}, to)
                  : run_product(at, sizes, x, Side<false>{right, of.columns}, to);
    };
    of.turned_a ? by(Side<false>{left, of.rows}) : by(Side<true>{left, of.depth});
  }
}

}  // namespace steep::cuda
