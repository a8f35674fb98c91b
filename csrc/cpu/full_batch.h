// Training by methods for full batches: a step is one iteration on all samples, whose objective and gradient
// the method may ask for at several points. The methods themselves are in minimize/.
#pragma once
#include <memory>

#include "cpu/chain.h"
#include "cpu/tangent.h"
#include "cpu/training.h"
#include "minimize/function.h"

namespace steep {

template <class T> class CpuFullBatch final : public CpuTraining<T>, private minimize::Function {
 public:
  // Of one objective.
  CpuFullBatch(std::vector<Aim> aims, int scalars, std::shared_ptr<CpuStore<T>> weights);
  ~CpuFullBatch() override;

  Walked walk(const Stretch& stretch, Halt* halt) override;
  std::vector<Watched> watched() const override {
    refuse("steps of a method for full batches are not recorded");
  }
  Origin faulty_gradient(const Batcher& data, Position at, const double* knobs,
                         int objective) override;
  void restore() override;
  long plan_bytes() const override;
  long plan_bytes(long rows) const override;

 private:
  class Method;
  template <class M> class Of;

  static constexpr double kLongestPass = 1e-2;  // seconds, of those that are tried with one thread

  // Of the batch at a point; the recorded ones are of the samples.
  struct Sums { double loss, right, weight; };

  void evaluate(minimize::Point& at) override;
  void multiply(const minimize::Vector& v, bool gauss_newton, minimize::Vector& product) override;
  const std::vector<std::size_t>& places() const override { return places_; }
  bool left() const override { return halt_ != nullptr && halt_->wanted(); }

  Goal<T>& goal() { return this->goals_[0]; }
  const Goal<T>& goal() const { return this->goals_[0]; }
  minimize::Numbers read(const double* knobs) const;
  bool known(const Batcher& data) const;
  Sums sums(const Step<T>& step) const;
  Terms terms() const;
  double timed(const Step<T>& step);
  void read(const Step<T>& step);
  template <class F> void each_stretch(F&& f) const;
  void put(const minimize::Vector& x);
  template <class U> void gather(const U* from, double scale, minimize::Vector& to) const;
  void take();
  bool iterate(const Stretch& stretch, const Position& at, const double* knobs, Walked& walked);

  std::unique_ptr<Method> method_;
  std::unique_ptr<CpuTangent> tangent_;  // made when products are first asked for
  std::unique_ptr<Chain<T>> chain_;      // where the program is one; it has the samples while held_
  struct Alike { long weights, point, size; };
  const Layout
      points_;  // of the parameters that have slots, with those of the network in their order
  std::vector<Alike> stretches_;
  const std::vector<std::size_t> places_;
  minimize::Vector along_, product_;  // of multiply(), as the weights lie
  const bool random_;                 // whether the objective differs from step to step
  bool held_ = false;                 // the plan has read the samples, during this call
  // Of the step under way.
  const Batcher* data_ = nullptr;
  Position place_{};
  Halt* halt_ = nullptr;
  double l2_ = 0, sign_ = 1;
  const double* scalars_ = nullptr;
  // The point where the last step ended: the next one begins there, if nothing has changed.
  minimize::Point point_;
  Sums sums_{}, point_sums_{};   // of the last evaluation, and of that point
  long batch_ = -1;              // number of the data of that point
  double knobs_[2]{};            // penalty and sign of it ...
  std::vector<double> weighed_;  // ... and the numbers that its losses went by
  long slot_changes_ = -1;
  Pace passes_{kLongestPass, false};
  long paced_ = 0, timed_ = 0;  // evaluations of a stretch of the Pace, and those done
  double took_ = 0;
};

}  // namespace steep
