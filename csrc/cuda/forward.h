// Forward passes on the device: samples go up batch by batch, outputs come back.
#pragma once
#include <memory>
#include <vector>

#include "cuda/data.h"
#include "cuda/plan.h"

namespace steep::cuda {

class CudaForward final : public Forward {
 public:
  CudaForward(Program program, std::shared_ptr<CudaStore> weights, long rows, Products products);

  long capacity() const override { return plan_.capacity(); }
  long bytes() const override { return plan_.bytes() + data_.bytes(); }
  void predict(const Batcher& data, uint64_t seed, const std::vector<void*>& outs,
               Halt& halt) override;
  std::vector<Totals> evaluate(const Batcher& data, Halt& halt) override;

 private:
  // take(first, rows) after each batch, which began with sample `first`.
  template <class Take> void walk(const Batcher& data, uint64_t seed, Halt& halt, Take&& take);

  const std::vector<int> outputs_;
  const Products products_;
  const Stream stream_;
  Plan plan_;
  DeviceData data_;
  Memory step_;  // the row of a step and a cursor on it
};

}  // namespace steep::cuda
