// The door to a device: columns of numbers in its memory, forward passes and stretches of training over
// them. A session knocks a few times a second; nothing declared here is called inside of a step.
#pragma once
#include <atomic>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/gate.h"
#include "base/halt.h"
#include "base/products.h"
#include "data/batcher.h"
#include "graph/program.h"
#include "plan/layout.h"
#include "plan/recipe.h"
#include "plan/watched.h"

namespace steep {

// One flat block of columns (weights; or gradients; or optimizer slots), each of them as its Layout
// says. Only get() and set() know the logical shapes.
class Store {
 public:
  virtual ~Store() = default;
  const Layout& layout() const { return *layout_; }
  const std::shared_ptr<const Layout>& shared_layout() const { return layout_; }
  // Of a column that has a layout of its own, as slots of groups have; as many parameters as all.
  virtual const Layout& layout(int) const { return layout(); }
  virtual long bytes() const = 0;
  // The same memory under the layout of a part.
  virtual std::shared_ptr<Store> part(std::shared_ptr<const Layout> layout) const = 0;

  // Logical, dense, row-major values of one parameter, in the format of the layout; `out` may be in the
  // memory of the device.
  virtual void get(int column, int parameter, void* out) const = 0;
  virtual void set(int column, int parameter, const void* in) = 0;

  // Whoever reads or writes values stands inside.
  Gate& gate() const { return shared_->gate; }
  // How often values were changed: who holds a copy sees that it is stale.
  long changes() const { return shared_->changes.load(std::memory_order_relaxed); }
  void note_change() const { shared_->changes.fetch_add(1, std::memory_order_relaxed); }

 protected:
  explicit Store(std::shared_ptr<const Layout> layout)
      : layout_(std::move(layout)), shared_(std::make_shared<Shared>()) {}
  Store(std::shared_ptr<const Layout> layout, const Store& whole)
      : layout_(std::move(layout)), shared_(whole.shared_) {}

 private:
  struct Shared {  // by a whole and its parts
    Gate gate;
    std::atomic<long> changes{0};
  };
  std::shared_ptr<const Layout> layout_;
  std::shared_ptr<Shared> shared_;
};

class DeviceMemory;

struct Totals { double loss = 0, correct = 0, weight = 0; };

// Forward passes of batches of at most capacity() rows. The caller stands inside the weights' gate; one
// call at a time. Where the halt is wanted a call returns soon, and what it left is worth nothing.
class Forward {
 public:
  virtual ~Forward() = default;
  virtual long capacity() const = 0;
  virtual long bytes() const = 0;
  // Samples in their own order; outs[i] is (samples, width) of output i, in the weights' format, in the
  // host's memory or the device's. What is drawn follows from the seed and a sample's number.
  virtual void predict(const Batcher& data, uint64_t seed, const std::vector<void*>& outs,
                       Halt& halt) = 0;
  // Of each term.
  virtual std::vector<Totals> evaluate(const Batcher& data, Halt& halt) = 0;
};

// Where a step is: one batch after the other, one epoch after the other.
struct Position { long epoch, batch, step; };

inline Position after(const Batcher& data, Position at, long steps) {
  const long batch = at.batch + steps, batches = data.batches();
  return {at.epoch + batch / batches, batch % batches, at.step + steps};
}

// An objective of a training: the program of its pass, and how it moves its parameters, after every so
// many steps.
struct Aim {
  Program program;
  Recipe recipe;
  long every = 1;

  bool due(long step) const { return every == 1 || (step + 1) % every == 0; }
};

// What is recorded of a step: numbers of each parameter, lengths of its weights before the step, of its
// gradient with penalties, of what clipping left of that, and of what the step added to the weights (NaN where
// nobody moves it); then numbers of each op with an activation, over all samples of its batch.
enum ParameterNumber { kWeight, kGradient, kClipped, kUpdate, kParameterNumbers };
enum ActivationNumber { kMean, kDeviation, kDead, kSaturated, kActivationNumbers };

// Steps of which every so-manyth is recorded, and where: a row each.
struct Recorded {
  long every = 0;  // 0 for none
  double* rows = nullptr;
  long columns = 0;

  bool at(long step) const { return every > 0 && step % every == 0; }
  // Of a step, in a stretch that begins with step `first`.
  double* row(long first, long step) const {
    return rows + (step / every - (first + every - 1) / every) * columns;
  }
};

constexpr long kUnlimited = std::numeric_limits<long>::max();

// Steps to be done, which may go on into later epochs, and where their numbers go: sums over each batch, of the terms of all objectives; where
// one is not due they are left as they are.
struct Stretch {
  const Batcher* data;
  Position at;
  long count;
  const double* knobs;  // (count, columns)
  double budget;        // seconds, after which it ends with the step it is at
  bool separate;        // gradients of all parameters are finished before the first update
  double *loss, *right, *weight;  // (count, terms)
  Recorded recorded = {};
  long evaluations = kUnlimited;  // of the objective: a method ends with the step beyond them
};

enum class Bad { Nothing, Loss, Gradient };

// Where a value that is not finite was met first.
struct Origin {
  std::string where;           // layer or parameter
  std::string op = "";         // what was computed there, as ops are called
  std::string direction = "";  // "forward", "backward" or "update"
  long sample = -1;            // its number among the data, where it is of one alone

  // A parameter's, whose gradient that op made so.
  void made_by(const Origin& first) {
    op = first.op + (first.where.empty() ? "" : " of " + first.where);
    sample = first.sample;
  }
};

struct Walked {
  long done;  // steps whose update was done
  Bad bad;  // what was not finite of the step after those; only a loss leaves the weights alone, ...
  double seconds;        // of one step, the last time some were done
  bool ended = false;    // a method has nothing left to gain, or no evaluation left
  long evaluations = 0;  // of the objective, by a method
  int objective = 0;     // whose
  bool half = false;     // ... unless an objective before had moved its own
};

struct Penalties { std::vector<double> l1, l2; };  // of each group

// Training of a network's weights: objectives in their order, each by update rules of its own, the step
// after the other. One call at a time; the caller stands inside the weights' gate where a call reads or
// writes them. `knobs` is the row of the step in question.
class Training {
 public:
  virtual ~Training() = default;
  virtual Store& slots() = 0;  // of the rules, a column each
  // Makes room for batches of so many rows.
  virtual void reserve(long rows) = 0;
  // A call without a halt is not to be disturbed: it makes no room for others, either. One may end sooner
  // than asked for.
  virtual Walked walk(const Stretch& stretch, Halt* halt) = 0;

  // The ops that recorded steps watch; refuses where steps cannot be recorded.
  virtual std::vector<Watched> watched() const = 0;

  // The first objective whose loss of that batch is not finite, for the weights as they are; kFinite where
  // there is none.
  static constexpr int kFinite = -1;
  virtual int bad_loss_at(const Batcher& data, Position at, const double* knobs) = 0;
  // Of the batch that was last walked or asked for, whose loss is not finite.
  virtual Origin first_fault(const Batcher& data, Position at, const double* knobs,
                             int objective) = 0;
  // The first parameter whose gradient is not finite, and what on the way back made it so; an update that
  // overflows where all are.
  virtual Origin faulty_gradient(const Batcher& data, Position at, const double* knobs,
                                 int objective) = 0;
  // The first parameter that is not finite, if there is one.
  virtual std::optional<std::string> faulty_weight() = 0;
  // The first parameter with a slot that is not finite, if there is one.
  virtual std::optional<std::string> faulty_slot() = 0;

  // An objective of batch 0, in training mode after `step` updates; gradients of all parameters to outs,
  // where not null.
  virtual double gradients(const Batcher& data, long step, int objective, const double* scalars,
                           const Penalties& penalties, const std::vector<void*>& outs,
                           Halt& halt) = 0;

  // Copies weights and slots aside, and back again.
  virtual void save() = 0;
  virtual void restore() = 0;

  virtual long bytes() const = 0;                // of slots, and of gradients where they are kept
  virtual long plan_bytes() const = 0;           // of what was reserved
  virtual long plan_bytes(long rows) const = 0;  // of what would be

  // How the steps of the last walk were made, where a device has several ways, and why; for tests.
  virtual std::string steps_by() const { return ""; }
  // Which tensors are in a narrower format than the rest, where a device has any.
  virtual std::string stored() const { return ""; }
};

// What to derive of one batch in training mode, and where it goes: arrays of doubles, one a parameter,
// null for those that do not move or are not wanted.
struct Derivative {
  enum Kind { kHessian, kGaussNewton, kOutputs };
  Kind kind;
  std::vector<double> l2;            // of each group, part of the objective
  std::vector<const double*> along;  // the direction; empty for none
  const double* back;                // of kOutputs, what their gradient is multiplied by; or null
  double* outputs;                   // the outputs' derivative along the direction, or null
  std::vector<double*> gradients;    // the product with the direction, or of kOutputs with `back`
};

// Derivatives along directions in the space of a network's weights, in double whatever the weights are.
// One call at a time; the caller stands inside the weights' gate. Nothing of the network is moved.
class Tangent {
 public:
  virtual ~Tangent() = default;
  // As after `step` updates, which dropout counts by. Where the halt is wanted it returns soon.
  virtual void derive(const Batcher& data, long step, const double* scalars,
                      const Derivative& wanted, Halt& halt) = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  // How it multiplies, and the same device multiplying so; refused where it cannot.
  virtual Products products() const { return Products::Exact; }
  virtual const Device& multiplying(Products products) const = 0;
  virtual std::shared_ptr<Store> store(std::shared_ptr<const Layout> layout, int columns) const = 0;
  virtual std::unique_ptr<Forward> forward(Program program, std::shared_ptr<Store> weights,
                                           long rows) const = 0;
  // With so many scalars in a row of the knob table.
  virtual std::unique_ptr<Training> training(std::vector<Aim> aims, int scalars,
                                             std::shared_ptr<Store> weights) const = 0;
  virtual std::unique_ptr<Tangent> tangent(Program program, std::shared_ptr<Store> weights,
                                           const Recipe& recipe) const = 0;
  // Its own memory; null where it computes in the host's.
  virtual const DeviceMemory* memory() const { return nullptr; }
};

// The devices: the same functions each, in every build.
namespace cpu {
std::string status();              // "" where the device can be used, else why not and what to do
std::string describe();            // of one that can be used, for people
const Device& device();            // refuses with the status
std::vector<std::string> lacks();  // names of ops that it cannot do
}  // namespace cpu

namespace cuda {
std::string status();
std::string describe();
const Device& device();
std::vector<std::string> lacks();
}  // namespace cuda

}  // namespace steep
