// A plan in dual numbers: the ops of a Program bound to device memory and launches whose gradient has a derivative
// along a direction. It says what is enqueued, never when or how often.
#pragma once
#include <vector>

#include "cuda/kept.h"
#include "cuda/ops/tangent.h"
#include "cuda/runtime.h"
#include "executor.h"
#include "plan/schedule.h"

namespace steep::cuda {

class TangentPlan {
 public:
  // For up to `capacity` rows at the point, a column that lies as the weights do; `factors`: of each term, where a
  // pass reads what its gradient is times.
  TangentPlan(Program program, const Layout& weights, long capacity, DualNumber* point,
              const double* factors, const Stream& stream);
  TangentPlan(TangentPlan&&) = delete;  // launches point into it
  static long bytes(const Program& program, const Layout& weights, long capacity);

  long capacity() const { return capacity_; }
  long bytes() const;
  // What the launches from here on read: the same as another plan, in an order of its own.
  void read_from(const Feed& feed);
  // A pass forward and back, and the gradient as one column. `held`: the samples are those of the last pass.
  void run(const Place& at, bool held, const DualProbe& probe, DualNumber* gradient) const;

 private:
  struct Call {
    Launch launch;
    bool reads;  // samples
  };
  using Term = std::function<void(const Place&, DualNumber*)>;
  Duals view(int tensor) const;
  void bind(const Op& op);
  void bind_terms(const Layout& weights, int parameter);

  Program program_;
  const Layout& weights_;
  const long capacity_;
  DualNumber* const point_;
  const double* const factors_;
  const Stream& stream_;
  Memory memory_, gathered_, room_;  // room_: of one op after the other
  std::vector<Memory> apart_;        // tensors that do not lie there, see places.h
  Kept<double> numbers_;
  std::vector<DualNumber*> buffers_;  // by tensor
  std::vector<long> strides_;
  Feed feed_;
  long* order_ = nullptr;
  mutable DualProbe probe_;
  bool dealt_ = false;  // an input was bound
  std::vector<Call> calls_;
  std::vector<Term> terms_;
};

}  // namespace steep::cuda
