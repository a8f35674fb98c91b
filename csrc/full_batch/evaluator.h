// What steps of a method for full batches ask of a device: the objective and its gradient at the weights. Points,
// and what is known of them, are full_batch.h's.
#pragma once
#include <vector>

#include "base/error.h"
#include "executor.h"

namespace steep {

// The batch of a step.
struct Asked {
  const Batcher* data = nullptr;
  Position at{};
  const double* knobs = nullptr;  // its row
  double l2 = 0;
  Halt* halt = nullptr;
};

// Over a batch, as they are recorded; of the samples, not of the objective.
struct BatchSums { double loss = 0, right = 0, weight = 0; };

// T is what the weights are kept in. Columns lie as the weights do, in memory of the host.
template <class T> class Evaluator {
 public:
  virtual ~Evaluator() = default;
  // Others may have used the plan, or changed weights, since the last call; and slots, where it says so.
  virtual void begin(const Batcher& data, bool slots_changed) = 0;
  // Others may look at weights and slots from here on.
  virtual void end() {}

  virtual T* weights() = 0;
  // The numbers in weights() have been moved.
  virtual void put() {}
  // Leaves the gradient, with penalties; worth nothing where the halt was wanted.
  virtual double evaluate(const Asked& asked, BatchSums& sums) = 0;
  virtual const T* gradient() = 0;
  // product = (second derivative) * along, at the last point that was evaluated.
  virtual void multiply(const Asked& asked, const std::vector<double>& along,
                        std::vector<double>& product) = 0;
  // Gauss and Newton's matrix there, of the weights at some places, column by column.
  virtual void gauss_newton(const Asked& asked, const std::vector<std::size_t>& places,
                            std::vector<double>& matrix) = 0;
  // Running statistics go on by what the last evaluation saw.
  virtual void follow_statistics(long rows) = 0;
  // Proves what it can of weights and slots.
  virtual void check() const {}
};

}  // namespace steep
