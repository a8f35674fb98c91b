// Products by constant sparse matrices, and spectral normalisation, in dual numbers.
#include "cuda/kernels/tangent_matrices.h"

#include "cuda/ops/tangent.h"

namespace steep::cuda {

namespace {

DualSparse sparse_of(const ops::Sparse& op, long outputs, const DualBound& to) {
  return {to.lay(op.a), to.weight.data, to.weight.panels, to.weight.narrow,
          static_cast<int>(outputs)};
}

DualSingular singular_of(const ops::Singular& op, const DualBound& to) {
  return {static_cast<int>(op.inputs),
          static_cast<int>(op.outputs),
          static_cast<int>(op.iterations),
          static_cast<int>(op.v()),
          static_cast<int>(op.inverse()),
          to.weight.data,
          to.weight.panels,
          to.weight.narrow};
}

}  // namespace

Launch bind(const ops::SparseProduct& op, const DualBound& to) {
  return [a = to.lay(op.a), channels = static_cast<int>(op.channels), x = to.in[0], y = to.out,
          add = to.accumulate](const Place& at) { sparse_product(at, a, channels, x, y, add); };
}

Launch bind(const ops::SparseMatMul& op, const DualBound& to) {
  return [of = sparse_of(op, op.outputs, to), factors = to.in[0], y = to.out](const Place& at) {
    sparse_matmul(at, of, factors, y);
  };
}

Launch bind(const ops::SparseMatMulGrad& op, const DualBound& to) {
  return [of = sparse_of(op, op.outputs, to), dz = to.in[0], factors = to.in[1],
          dw = to.out.data](const Place& at) { sparse_matmul_grad(at, of, dz, factors, dw); };
}

Launch bind(const ops::SparseMatMulFactors& op, const DualBound& to) {
  return [of = sparse_of(op, op.outputs, to), dz = to.in[0], dx = to.out,
          add = to.accumulate](const Place& at) { sparse_matmul_factors(at, of, dz, dx, add); };
}

Launch bind(const ops::SpectralVectors& op, const DualBound& to) {
  return [of = singular_of(op, to), u = to.parameters[1], vectors = to.out.data](const Place& at) {
    spectral_vectors(at, of, u, vectors);
  };
}

Launch bind(const ops::SpectralNorm& op, const DualBound& to) {
  return [of = singular_of(op, to), bias = to.parameters.size() > 2 ? to.parameters[2] : nullptr,
          x = to.in[0], vectors = to.in[1].data,
          y = to.out](const Place& at) { spectral_norm(at, of, x, vectors, bias, y, false); };
}

Launch bind(const ops::SpectralScale& op, const DualBound& to) {
  return [of = singular_of(op, to), x = to.in[0], vectors = to.in[1].data, y = to.out,
          add = to.accumulate](const Place& at) {
    spectral_norm(at, of, x, vectors, nullptr, y, add);
  };
}

Launch bind(const ops::SpectralShares& op, const DualBound& to) {
  return [of = singular_of(op, to), dy = to.in[0], x = to.in[1], vectors = to.in[2].data,
          out = to.out](const Place& at) { spectral_shares(at, of, dy, x, vectors, out); };
}

}  // namespace steep::cuda
