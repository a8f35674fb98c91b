// Training by methods for full batches on the device: passes and their gradients are there, points and the columns
// of a method in memory of the host. What a step is: full_batch/.
#pragma once
#include <memory>
#include <vector>

#include "cuda/tangent.h"
#include "cuda/training.h"
#include "full_batch/full_batch.h"

namespace steep::cuda {

class CudaFullBatch final : public CudaTraining, private Evaluator<float> {
 public:
  // Of one objective. Refuses ops whose derivatives a method wants that have no kernel here.
  CudaFullBatch(std::vector<Aim> aims, int scalars, std::shared_ptr<CudaStore> weights,
                Products products);

  Walked walk(const Stretch& stretch, Halt* halt) override;
  Origin faulty_gradient(const Batcher& data, Position at, const double* knobs,
                         int objective) override;
  void restore() override;
  long plan_bytes() const override;
  long plan_bytes(long rows) const override;

 private:
  void begin(const Batcher& data, bool slots_changed) override;
  void end() override;
  float* weights() override { return point_.as<float>(); }
  void put() override;
  double evaluate(const Asked& asked, BatchSums& sums) override;
  const float* gradient() override { return found_gradient_.as<float>(); }
  void multiply(const Asked& asked, const std::vector<double>& along,
                std::vector<double>& product) override;
  void gauss_newton(const Asked& asked, const std::vector<std::size_t>& places,
                    std::vector<double>& matrix) override;
  void follow_statistics(long rows) override;

  std::vector<float*> columns();
  const Graph& pass_of(long rows, bool held);
  // A pass in dual numbers: a product, or the next column of a matrix.
  const Graph& tangent_of(long rows, bool held);
  // The rows of such a pass; what it goes by has been sent.
  long prepare_tangent(const Asked& asked);
  void take_down(BatchSums& sums);

  const std::size_t bytes_;  // of a column of the weights
  const Pinned point_, found_gradient_, found_sums_;
  std::vector<float> kept_;               // the slots, as the device has them after each call
  bool held_ = false;                     // the plan has read the samples, during this call, ...
  std::unique_ptr<CudaTangent> tangent_;  // of methods that ask for products
  bool held_by_tangent_ = false;          // ... or that in dual numbers has
  FullBatch<float> steps_;
};

}  // namespace steep::cuda
