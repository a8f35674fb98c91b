// Products by a constant sparse matrix.
#include "ops/sparse.h"

#include "cuda/ops/bind.h"

namespace steep::cuda {

namespace {

SparseFactor factor_of(const ops::Sparse& op, long outputs, const Bound& to) {
  return {to.lay(op.a), to.weight, to.narrow, static_cast<int>(outputs)};
}

}  // namespace

Launch bind(const ops::SparseProduct& op, const Bound& to) {
  return [a = to.lay(op.a), channels = static_cast<int>(op.channels), x = to.in[0], y = to.out,
          add = to.accumulate](const Place& at) { sparse_product(at, a, channels, x, y, add); };
}

Launch bind(const ops::SparseMatMul& op, const Bound& to) {
  return [of = factor_of(op, op.outputs, to), factors = to.in[0], y = to.out](const Place& at) {
    sparse_matmul(at, of, factors, y);
  };
}

Launch bind(const ops::SparseMatMulGrad& op, const Bound& to) {
  return [of = factor_of(op, op.outputs, to), dz = to.in[0], factors = to.in[1],
          dw = to.out.data](const Place& at) { sparse_matmul_grad(at, of, dz, factors, dw); };
}

Launch bind(const ops::SparseMatMulFactors& op, const Bound& to) {
  return [of = factor_of(op, op.outputs, to), dz = to.in[0], dx = to.out,
          add = to.accumulate](const Place& at) { sparse_matmul_factors(at, of, dz, dx, add); };
}

}  // namespace steep::cuda
