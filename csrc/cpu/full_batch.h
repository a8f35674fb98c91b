// Training by methods for full batches on the CPU: passes by as many threads as are worth it, of chains of slim
// layers with samples side by side. What a step is: full_batch/.
#pragma once
#include <memory>

#include "cpu/chain.h"
#include "cpu/tangent.h"
#include "cpu/training.h"
#include "full_batch/full_batch.h"

namespace steep {

template <class T> class CpuFullBatch final : public CpuTraining<T>, private Evaluator<T> {
 public:
  // Of one objective.
  CpuFullBatch(std::vector<Aim> aims, int scalars, std::shared_ptr<CpuStore<T>> weights);

  Walked walk(const Stretch& stretch, Halt* halt) override { return steps_.walk(stretch, halt); }
  std::vector<Watched> watched() const override {
    refuse("steps of a method for full batches are not recorded");
  }
  Origin faulty_gradient(const Batcher& data, Position at, const double* knobs, int) override {
    return steps_.faulty_gradient(data, at, knobs);
  }
  void restore() override;
  long plan_bytes() const override;
  long plan_bytes(long rows) const override;

 private:
  static constexpr double kLongestPass = 1e-2;  // seconds, of those that are tried with one thread

  void begin(const Batcher&, bool) override { held_ = false; }
  T* weights() override { return this->weights_->column(0); }
  double evaluate(const Asked& asked, BatchSums& sums) override;
  const T* gradient() override { return this->gradients_->column(0); }
  void multiply(const Asked& asked, const std::vector<double>& along,
                std::vector<double>& product) override;
  void gauss_newton(const Asked& asked, const std::vector<std::size_t>& places,
                    std::vector<double>& matrix) override;
  void follow_statistics(long rows) override { goal().plan->follow_statistics(rows); }
  void check() const override;

  Goal<T>& goal() { return this->goals_[0]; }
  const Goal<T>& goal() const { return this->goals_[0]; }
  std::vector<const Aim*> aims() const;
  std::vector<T*> columns() const;
  BatchSums sums(const Step<T>& step) const;
  Terms terms(const Asked& asked) const;
  double timed(const Step<T>& step, const Terms& terms);
  void read(const Step<T>& step);
  void product(const Asked& asked, Probe::Kind kind, const std::vector<double>& along,
               std::vector<double>& product);

  std::unique_ptr<CpuTangent> tangent_;  // made when products are first asked for
  std::unique_ptr<Chain<T>> chain_;      // where the program is one; it has the samples while held_
  bool held_ = false;                    // the plan has read the samples, during this call
  Pace passes_{kLongestPass, false};
  long paced_ = 0, timed_ = 0;  // evaluations of a stretch of the Pace, and those done
  double took_ = 0;
  FullBatch<T> steps_;
};

}  // namespace steep
