// What the host asks of products by sparse matrices and of spectral normalisation in dual numbers. Plain data, as in
// tangent.h.
#pragma once
#include "cuda/kernels/tangent.h"

namespace steep::cuda {

// A constant matrix, whose values are doubles, and a weight that it multiplies.
struct DualSparse {
  SparseRows a;
  DualNumber* w = nullptr;
  Panels panels = {};
  bool narrow = false;
  int outputs = 0;
};

// y (+)= A x
void sparse_product(const Place& at, const SparseRows& a, int channels, const Duals& x,
                    const Duals& y, bool accumulate);
// y = factors * (A W)
void sparse_matmul(const Place& at, const DualSparse& of, const Duals& factors, const Duals& y);
// dw = A^T (factors * dz), laid out as the weight is
void sparse_matmul_grad(const Place& at, const DualSparse& of, const Duals& dz,
                        const Duals& factors, DualNumber* dw);
// dx (+)= sums of dz times A W
void sparse_matmul_factors(const Place& at, const DualSparse& of, const Duals& dz, const Duals& dx,
                           bool accumulate);

// The vectors u, v and 1/sigma lie behind each other.
struct DualSingular {
  int inputs, outputs, iterations;
  int at_v, at_inverse;
  const DualNumber* w;
  Panels panels;
  bool narrow;
};
void spectral_vectors(const Place& at, const DualSingular& of, const DualNumber* u,
                      DualNumber* vectors);
// y (+)= x / sigma, or y = x / sigma + bias, which is repeated every `outputs` columns
void spectral_norm(const Place& at, const DualSingular& of, const Duals& x,
                   const DualNumber* vectors, const DualNumber* bias, const Duals& y,
                   bool accumulate);
void spectral_shares(const Place& at, const DualSingular& of, const Duals& dy, const Duals& x,
                     const DualNumber* vectors, const Duals& out);

}  // namespace steep::cuda
