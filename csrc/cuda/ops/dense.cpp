// Matrix products.
#include "cuda/ops/bind.h"

namespace steep::cuda {

namespace {

Factor factor_of(const ops::Multiplying& op, const Bound& to) {
  return {to.weight, to.narrow, op.turned, static_cast<int>(op.positions)};
}

}  // namespace

Launch bind(const ops::MatMul& op, const Bound& to) {
  const float* const bias = to.parameters.size() > 1 ? to.parameters[1] : nullptr;
  return [=, w = factor_of(op, to), f = function_of(op.f), x = to.in[0], y = to.out,
          z = to.before](const Place& at) { matmul(at, x, w, bias, f, y, z); };
}

Launch bind(const ops::MatMulGrad& op, const Bound& to) {
  return [w = factor_of(op, to), f = function_of(op.f), dz = to.in[0], add = to.accumulate,
          stored = to.stored,
          dx = to.out](const Place& at) { matmul_grad(at, dz, w, add, f, stored, dx); };
}

}  // namespace steep::cuda
