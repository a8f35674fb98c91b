// Derivatives along directions by themselves: products of one batch, which goes up with them.
#pragma once
#include <memory>

#include "cuda/data.h"
#include "cuda/tangent.h"

namespace steep::cuda {

class CudaDerivatives final : public Tangent {
 public:
  CudaDerivatives(Program program, std::shared_ptr<CudaStore> weights, const Recipe& recipe);

  void derive(const Batcher& data, long step, const double* scalars, const Derivative& wanted,
              Halt& halt) override;

 private:
  // What ops read of the batch, ...
  Feed feed_of(const Batcher& data, bool of_outputs) const;
  // ... and of the step, which is sent.
  Place place_of(const Batcher& data, Position at, const double* scalars, bool of_outputs);
  // Room for what goes back from the outputs and what comes of them; `back` is sent.
  DualProbe probe_of(const Derivative& wanted, long rows);
  void hand_out(const Derivative& wanted, const std::vector<double>& along, const double* found);

  const Program program_;
  const std::shared_ptr<CudaStore> weights_;
  const Recipe recipe_;
  const long scalars_;  // of a step that are read
  const Stream stream_;
  DeviceData samples_;
  Memory step_;  // a row of each table, and a cursor on them
  Memory outputs_;
  CudaTangent tangent_;
};

}  // namespace steep::cuda
