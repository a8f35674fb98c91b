// Derivatives along directions: a training step in dual numbers, whose gradient so has a derivative, too.
#pragma once
#include <memory>

#include "base/dual.h"
#include "cpu/objective.h"

namespace steep {

class CpuTangent final : public Tangent {
 public:
  // `samples`: what they are rounded to before they are dual numbers, as a training of that format reads them.
  CpuTangent(Program program, std::shared_ptr<Store> weights, const Recipe& recipe,
             Format samples = Format::Float64);

  void derive(const Batcher& data, long step, const double* scalars, const Derivative& wanted,
              Halt& halt) override;

  // The same on packed columns of the weights' layout: product = (second derivative) * along.
  void product(const Batcher& data, Position at, const double* scalars, Probe::Kind kind,
               const std::vector<double>& l2, const double* along, double* product, Halt* halt);

 private:
  using Dual = portable::Dual;
  void load(const double* along);
  // The penalty l2 is that of each group; none adds nothing.
  void run(const Batcher& data, Position at, const double* scalars, const Probe& probe,
           const std::vector<double>& l2, Halt* halt);

  const Program program_;
  const std::shared_ptr<Store> weights_;
  const Recipe recipe_;
  const Format samples_;
  std::shared_ptr<const Layout> layout_;  // the weights', of dual numbers
  std::shared_ptr<CpuStore<Dual>> point_;
  CpuStore<Dual> gradient_;
  CpuStore<double> packed_;  // between logical and packed
  std::unique_ptr<Plan<Dual>> plan_;
};

}  // namespace steep
