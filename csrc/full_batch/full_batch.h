// Training by methods for full batches, on any device: a step is one iteration on all samples, whose objective and
// gradient the method may ask for at several points. The methods themselves are in minimize/, the passes are
// the devices'.
#pragma once
#include <memory>
#include <vector>

#include "full_batch/evaluator.h"
#include "minimize/function.h"
#include "minimize/vectors.h"

namespace steep {

// Passes over the same samples follow each other.
std::vector<Aim> repeated(std::vector<Aim> aims);
// Where the elements of the parameters that a program trains lie in a column.
std::vector<std::size_t> trained(const Layout& layout, const Program& program);

template <class T> class FullBatch final : private minimize::Function {
 public:
  // Of one objective; `columns` are the slots in memory of the host.
  FullBatch(const std::vector<const Aim*>& aims, const KnobRow& row, const Store& weights,
            const Store& slots, std::vector<T*> columns, const minimize::Sweeps<T>& sweeps,
            Evaluator<T>& evaluator);
  ~FullBatch() override;

  Walked walk(const Stretch& stretch, Halt* halt);
  Origin faulty_gradient(const Batcher& data, Position at, const double* knobs);
  void forget() { slot_changes_ = kUnknown; }  // weights and slots are others

 private:
  class Method;
  template <class M> class Of;

  void evaluate(minimize::Point& at) override;
  void multiply(const minimize::Vector& v, minimize::Vector& product) override;
  void gauss_newton(minimize::Vector& matrix) override;
  const std::vector<std::size_t>& places() const override { return places_; }
  bool left() const override { return asked_.halt != nullptr && asked_.halt->wanted(); }

  std::unique_ptr<Method> method_of(std::vector<T*> columns,
                                    const minimize::Sweeps<T>& sweeps) const;
  minimize::Numbers read() const;
  bool known() const;
  template <class F> void each_stretch(F&& f) const;
  void put(const minimize::Vector& x);
  template <class U> void gather(const U* from, double scale, minimize::Vector& to) const;
  void take();
  bool iterate(const Stretch& stretch, Walked& walked);
  const double* scalars() const { return asked_.knobs + row_.scalars; }

  static constexpr long kUnknown = -1;

  const Aim& aim_;
  const KnobRow row_;
  const Store &weights_, &slots_;
  Evaluator<T>& evaluator_;
  struct Alike { long weights, point, size; };
  const Layout
      points_;  // of the parameters that have slots, with those of the network in their order
  std::vector<Alike> stretches_;
  const std::vector<std::size_t> places_, at_weights_;  // of what moves: in a point, and a column
  const std::unique_ptr<Method> method_;
  minimize::Vector along_, product_;  // of multiply(), as the weights lie
  const bool random_;                 // whether the objective differs from step to step
  // Of the step under way.
  Asked asked_;
  double sign_ = 1;
  // The point where the last step ended: the next one begins there, if nothing has changed.
  minimize::Point point_;
  BatchSums sums_, point_sums_;  // of the last evaluation, and of that point
  long batch_ = kUnknown;        // number of the data of that point
  double knobs_[2]{};            // penalty and sign of it ...
  std::vector<double> weighed_;  // ... and the numbers that its losses went by
  long slot_changes_ = kUnknown;
  double step_seconds_ = 0;  // of the last steps
  long evaluations_ = 0;     // of this walk
};

}  // namespace steep
