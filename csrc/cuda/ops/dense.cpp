// Matrix products.
#include "cuda/ops/bind.h"
#include "cuda/ops/sizes.h"

namespace steep::cuda {

namespace {

Factor factor_of(const ops::Multiplying& op, const Bound& to) {
  return {to.weight, to.narrow, op.turned, static_cast<int>(op.positions)};
}

}  // namespace

Launch bind(const ops::MatMul& op, const Bound& to) {
  const float* const bias = to.parameters.size() > 1 ? to.parameters[1] : nullptr;
  const Factor w = factor_of(op, to);
  const Function f = function_of(op.f);
  const View x = to.in[0], y = to.out, z = to.before;
  return [=, by = matmul_by(to.aid, x, w, bias, f, y, z)](const Place& at) {
    by(at, x, w, bias, f, y, z);
  };
}

Launch bind(const ops::MatMulGrad& op, const Bound& to) {
  const Factor w = factor_of(op, to);
  const Function f = function_of(op.f);
  const View dz = to.in[0], dx = to.out, stored = to.stored;
  const bool add = to.accumulate;
  return [=, by = matmul_grad_by(to.aid, dz, w, add, f, dx, stored)](const Place& at) {
    by(at, dz, w, add, f, stored, dx);
  };
}

Launch bind(const ops::BatchMatMul& op, const Bound& to) {
  return [of = pairs_of(op), a = to.in[0], b = to.in[1], c = to.out,
          add = to.accumulate](const Place& at) { batch_matmul(at, of, a, b, c, add); };
}

}  // namespace steep::cuda
