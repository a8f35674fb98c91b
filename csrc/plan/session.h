// A Session trains a network: optimizer slots, the training plan, the run loop, and the way back to
// the last good weights.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/batcher.h"
#include "plan/network.h"
#include "plan/pace.h"
#include "plan/rules.h"

namespace steep {

struct Fault {
  long step;          // offset into the run at which it was met; this update was not done
  std::string what;   // "loss" or "gradient"
  std::string where;  // layer or parameter
  long undone;        // updates taken back that earlier runs had counted: 0 or 1
};

struct Totals { double loss = 0, correct = 0, weight = 0; };

// Where steps begin: they are contiguous from here, inside one epoch.
struct Position { long epoch, batch, step; };

double now();  // seconds on a clock that never jumps

template <class T> class Session {
 public:
  Session(std::shared_ptr<Network<T>> network, int loss, double loss_option, int rule,
          uint64_t seed, bool mean, bool decay_bias);
  ~Session();

  void set_data(Dataset data, long batch_size, bool shuffle);
  // See _core.pyi; knobs is (count, kCommonKnobs + rule knobs).
  long run(Position at, long count, const double* knobs, double* losses, double* correct,
           double budget);
  const std::optional<Fault>& fault() const { return fault_; }

  // The objective of one batch in training mode; its gradients are left for gradient().
  double gradients(const Dataset& data, long step, double l1, double l2);
  void gradient(int parameter, T* out) const { gradients_->get(0, parameter, out); }
  Totals evaluate(const Dataset& data, long batch_size);

  const std::vector<std::string>& slots() const { return rule_infos()[rule_].slots; }
  Store<T>& state() { return *state_; }
  const Network<T>& network() const { return *network_; }
  long state_bytes() const;
  long arena_bytes() const { return plan_ ? plan_->arena_bytes() : 0; }
  int knob_columns() const;
  // What training on batches of so many rows takes: the plan, and the copy that finds back to the
  // last good weights.
  long plan_bytes(long rows) const;
  long snapshot_bytes() const;

 private:
  struct Loop;
  struct Snapshot;

  void reserve(long rows);
  T* slot(int i) const { return state_->column(i); }
  int state_columns(T** columns) const;  // weights and slots; how many
  bool large() const;                    // more than stays in cache from one step to the next
  Step<T> step_at(const Batcher& batcher, Position at, const Plan<T>& plan) const;
  // For look-ahead rules, the weights become the point; and w again, after `done` steps.
  void begin(const double* knobs);
  void end(const double* knobs, long done);
  long loop(Position at, long count, const double* knobs, double* losses, double* correct,
            double budget, bool separate);
  bool remember(Position at, long count);
  long go_back(long steps);
  bool finite_at(Position at);
  int wanted_threads(long rows) const;
  std::string faulty_parameter(Position at, const double* knobs);
  void need_gradients();

  std::shared_ptr<Network<T>> network_;
  const Kernels<T>& k_;
  const int loss_;
  const double loss_option_;
  const int rule_;
  const uint64_t seed_;
  const bool mean_, decay_bias_;
  std::unique_ptr<Store<T>> state_;      // slots
  std::unique_ptr<Store<T>> gradients_;  // made when first asked for
  std::unique_ptr<Plan<T>> plan_;
  std::unique_ptr<Plan<T>> evaluation_;
  std::vector<double> squares_;  // of each task's gradient
  Batcher batcher_;
  std::optional<Fault> fault_;
  std::unique_ptr<Snapshot> snapshot_;
  Pace pace_;
  double step_seconds_ = 0;  // of the last run
};

}  // namespace steep
