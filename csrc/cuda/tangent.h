// Products of second derivatives with directions, or Gauss and Newton's matrix: passes in dual numbers whose gradient
// so has a derivative, too. Directions come from the host, products go there.
#pragma once
#include <memory>
#include <vector>

#include "cuda/store.h"
#include "cuda/tangent_plan.h"

namespace steep::cuda {

class CudaTangent {
 public:
  // `places`: of a matrix that is wanted, the weights of its columns; else none.
  CudaTangent(const Program& program, std::shared_ptr<CudaStore> weights, const Stream& stream,
              const std::vector<std::size_t>& places);

  // Makes room for passes over so many rows; true where launches go by another place now.
  bool reserve(long rows);
  long bytes() const;
  long bytes(long rows) const;
  bool forms() const { return columns_.count > 0; }
  void read_from(const Feed& feed) { plan_->read_from(feed); }

  // What each term's loss of a sample is times in the gradient, ...
  void send_factors(const std::vector<double>& factors);
  // ... a direction, its product, and the wait for that. Where what goes back is given the product is with the outputs'
  // derivatives.
  void send(const std::vector<double>& along);
  void enqueue_product(const Place& at, bool held, const DualProbe& probe = {}) const;
  const double* fetch();
  // Columns of the matrix from the first on: each time the next one, and the wait for all since the last wait.
  void begin_matrix();
  int room() const { return columns_.room; }
  void enqueue_column(const Place& at, bool held) const;
  const double* fetch_columns(long count);

 private:
  void make_columns();
  double* along() const { return numbers_.as<double>(); }
  DualNumber* point() const { return duals_.as<DualNumber>(); }
  DualNumber* gradient() const { return point() + size_; }

  const Program& program_;
  const std::shared_ptr<CudaStore> weights_;
  const Stream& stream_;
  const long size_;  // of the weights' column
  std::vector<long> places_;
  Memory duals_,  // the point and its gradient
      numbers_,   // a direction or product; factors
      matrix_;    // columns that nobody has fetched, their places, whose turn it is
  DualColumns columns_{};
  Pinned up_, down_;
  std::unique_ptr<TangentPlan> plan_;
};

}  // namespace steep::cuda
