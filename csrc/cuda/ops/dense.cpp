// Matrix products.
#include "cuda/ops/bind.h"

namespace steep::cuda {

Launch bind(const ops::MatMul& op, const Bound& to) {
  const int f = op.f.activation;
  const float alpha = static_cast<float>(op.f.alpha);
  const View x = to.in[0], y = to.out, z = to.before;
  const Weight w = to.weight;
  const float* const bias = to.parameters.size() > 1 ? to.parameters[1] : nullptr;
  if (!to.narrow) return [=](const Place& at) { matmul(at, x, w, bias, f, alpha, y, z); };
  return [=](const Place& at) {
    const View& first = z.data ? z : y;
    matmul_narrow(at, x, w, bias, first);
    if (f >= 0) activate(at, f, alpha, first, y);
  };
}

Launch bind(const ops::MatMulGrad& op, const Bound& to) {
  return [f = static_cast<int>(op.f.activation), alpha = static_cast<float>(op.f.alpha),
          dz = to.in[0], w = to.weight, narrow = to.narrow, accumulate = to.accumulate,
          stored = to.stored, dx = to.out](const Place& at) {
    matmul_grad(at, dz, w, narrow, accumulate, f, alpha, stored, dx);
  };
}

}  // namespace steep::cuda
