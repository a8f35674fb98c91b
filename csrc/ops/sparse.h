// Products by a constant sparse matrix: over the positions of a sample, which are the nodes of a graph
// then, and of constant features by a weight.
#pragma once
#include <memory>

#include "base/panels.h"
#include "base/sparse_rows.h"
#include "ops/op.h"

namespace steep {

class SparseMatrix;

namespace ops {

// Rows of the result are shared by the threads of a training, since one sample may be the whole graph.
struct Sparse {
  static constexpr long kRows = 64;  // of the result, that one thread takes at a time
  std::shared_ptr<const SparseMatrix> matrix = {};
  SparseRows a = {};    // its rows, or those of its transpose
  bool shared = false;  // rows of the result, rather than samples

  bool crosses() const { return shared; }
  long blocks() const { return ceil_div(a.rows, kRows); }
  double multiply_adds(long columns) const;
};

// out (+)= A in0 for A (rows, nodes) and in0 (nodes, ...).
struct SparseProduct : Sparse {
  static constexpr const char* kName = "sparse_product";
  static constexpr std::array kTensors{"x"};
  static constexpr auto fields() { return std::tuple{Field{"matrix", &Sparse::matrix}}; }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
  void gradient(Gradients& to, const Op& op) const;
  double work() const { return 2.0 * multiply_adds(channels); }

  long channels = 1;
};

// out = in0 * (A W) for A (nodes, features), W (features, out), and in0 (nodes, 1): a factor for each node.
struct SparseMatMul : Sparse {
  static constexpr const char* kName = "sparse_matmul";
  static constexpr std::array kTensors{"x"};
  static constexpr std::array kParameters{"weight"};
  static constexpr auto fields() { return std::tuple{Field{"matrix", &Sparse::matrix}}; }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
  void gradient(Gradients& to, const Op& op) const;
  double work() const { return 2.0 * multiply_adds(outputs); }

  long outputs = 1;
};

// out = A^T (in1 * in0) over all samples, laid out as W is; in0 (dz), in1 the factors.
struct SparseMatMulGrad : Sparse {
  static constexpr const char* kName = "sparse_matmul_grad";
  static constexpr bool kLikeParameter = true;  // the result lies as its parameter does
  double work() const { return 2.0 * multiply_adds(outputs); }

  long outputs = 1;
};

// out (+)= the sums of in0 (dz) times A W over a node's outputs: the gradient of the factors.
struct SparseMatMulFactors : Sparse {
  static constexpr const char* kName = "sparse_matmul_factors";
  double work() const { return 2.0 * multiply_adds(outputs); }

  long outputs = 1;
};

}  // namespace ops

}  // namespace steep
