// Sets a session up, takes gradients and evaluates, and finds back to the last good weights.
#include "plan/session.h"

#include <atomic>
#include <chrono>
#include <cmath>

#include "backend/cpu/pool.h"
#include "base/error.h"

namespace steep {

namespace {

constexpr long kMostSteps = 4096;       // between two snapshots, and in one run
constexpr double kSnapshotShare = 100;  // a snapshot may cost a hundredth of the time
constexpr double kForever = 1e9;        // seconds

}  // namespace

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// A copy of weights and slots, and what was run since: with the same steps run again it gives the
// weights of any later moment, bit by bit.
template <class T> struct Session<T>::Snapshot {
  struct Segment {
    Position at;
    long count;
    std::size_t knobs;  // where its rows begin
    bool separate;
  };
  std::vector<T> weights, state;
  std::vector<Segment> segments;
  std::vector<double> knobs, losses, correct;  // the last two only give loop() a place to write
  long steps = 0;
  long changes = 0;  // of the Stores when it was taken
  double taken = 0, cost = 0;
  bool valid = false;

  void add(Position at, long count, const double* rows, int columns, bool separate) {
    segments.push_back({at, count, knobs.size(), separate});
    knobs.insert(knobs.end(), rows, rows + count * columns);
    steps += count;
  }
};

template <class T>
Session<T>::Session(std::shared_ptr<Network<T>> network, int loss, double loss_option, int rule,
                    uint64_t seed, bool mean, bool decay_bias)
    : network_(std::move(network)), k_(kernels<T>()), loss_(loss), loss_option_(loss_option),
      rule_(rule), seed_(seed), mean_(mean), decay_bias_(decay_bias),
      state_(std::make_unique<Store<T>>(network_->weights()->shared_layout(),
                                        static_cast<int>(rule_infos()[rule].slots.size()))),
      snapshot_(std::make_unique<Snapshot>()) {}

template <class T> Session<T>::~Session() = default;

template <class T> int Session<T>::knob_columns() const {
  return kCommonKnobs + static_cast<int>(rule_infos()[rule_].knobs.size());
}

template <class T> long Session<T>::state_bytes() const {
  return state_->bytes() + (gradients_ ? gradients_->bytes() : 0);
}

template <class T> long Session<T>::plan_bytes(long rows) const {
  return Plan<T>::bytes(network_->graph(), training(network_->graph()), k_, network_->weights(),
                        rows, pool().threads());
}

template <class T> long Session<T>::snapshot_bytes() const {
  return network_->weights()->bytes() + state_->bytes();
}

template <class T> void Session<T>::reserve(long rows) {
  if (plan_ && plan_->capacity() >= rows) return;
  plan_.reset();
  plan_ = std::make_unique<Plan<T>>(network_->graph(), training(network_->graph()), k_,
                                    network_->weights(), rows, loss_, loss_option_);
  squares_.resize(plan_->tasks().size());
}

template <class T> void Session<T>::set_data(Dataset data, long batch_size, bool shuffle) {
  reserve(std::min(batch_size, data.samples));
  batcher_ = Batcher(std::move(data), batch_size, seed_, shuffle);
  snapshot_->valid = false;
}

template <class T> int Session<T>::state_columns(T** columns) const {
  const int slots = static_cast<int>(rule_infos()[rule_].slots.size());
  columns[0] = network_->weights()->column(0);
  for (int i = 0; i < slots; ++i) columns[1 + i] = slot(i);
  return 1 + slots;
}

template <class T> bool Session<T>::large() const {
  constexpr long kCache = 1L << 20;
  return network_->weights()->bytes() + state_->bytes() > kCache;
}

template <class T> void Session<T>::need_gradients() {
  if (!gradients_) gradients_ = std::make_unique<Store<T>>(network_->weights()->shared_layout(), 1);
}

template <class T> Step<T> Session<T>::step_at(const Batcher& batcher, Position at,
                                               const Plan<T>& plan) const {
  Step<T> step;
  step.batcher = &batcher;
  step.epoch = static_cast<uint64_t>(at.epoch);
  step.batch = at.batch;
  step.step = static_cast<uint64_t>(at.step);
  step.seed = seed_;
  step.rows = batcher.rows(at.batch);
  step.factor = mean_ ? T(1) / static_cast<T>(step.rows) : T(1);
  step.order = plan.order();
  return step;
}

template <class T>
long Session<T>::run(Position at, long count, const double* knobs, double* losses, double* correct,
                     double budget) {
  fault_.reset();
  count = std::min({count, batcher_.batches() - at.batch, kMostSteps});
  if (count <= 0) return 0;
  bool separate = false;
  for (long i = 0; i < count && !separate; ++i) {
    separate = knobs[i * knob_columns() + kClipNorm] > 0;
  }
  if (separate) need_gradients();
  if (!remember(at, count)) {
    const std::string where = plan_->first_fault(step_at(batcher_, at, *plan_));
    fault_ = Fault{0, "loss", where, go_back(1)};
    return 0;
  }
  const long done = loop(at, count, knobs, losses, correct, budget, separate);
  snapshot_->add(at, done, knobs, knob_columns(), separate);
  if (!fault_) return done;
  const bool loss = fault_->what == "loss";
  // A loss that is not finite is the batch's fault where the batch before still has a finite one;
  // else the update before went too far.
  const long back =
      loss && done > 0 && finite_at({at.epoch, at.batch + done - 1, at.step + done - 1})
          ? 0
          : go_back(loss ? 1 : 0);
  const long left = done - std::min(done, back);
  fault_->undone = back - (done - left);
  if (!loss) {
    fault_->where = faulty_parameter({at.epoch, at.batch + done, at.step + done},
                                     knobs + done * knob_columns());
  }
  return left;
}

template <class T> int Session<T>::wanted_threads(long rows) const {
  constexpr double kFlopsPerUpdate = 20;  // of one parameter, with its root and its division
  const double size = static_cast<double>(network_->weights()->layout().size);
  const double n = static_cast<double>(rows);
  return threads_for(plan_->cost_per_row() * n + size * (2.0 * n + kFlopsPerUpdate));
}

template <class T> bool Session<T>::finite_at(Position at) {
  const Step<T> step = step_at(batcher_, at, *plan_);
  const int wanted = wanted_threads(step.rows);
  plan_->reserve_threads(wanted);
  std::atomic<bool> finite{true};
  pool().run(wanted, [&](int thread, int threads) {
    if (!plan_->run(step, thread, threads)) finite = false;
  });
  return finite;
}

// Takes a snapshot when the last one is old, or of other data or weights. Only weights with a finite
// loss are worth remembering; false, and the old snapshot kept, when they turn out to be bad.
template <class T> bool Session<T>::remember(Position at, long count) {
  Snapshot& s = *snapshot_;
  const double start = now();
  const long changes = network_->weights()->changes() + state_->changes();
  s.valid = s.valid && s.changes == changes;
  // To look whether the loss is finite takes a step.
  const double cost = s.cost + step_seconds_;
  if (s.valid && s.steps + count <= kMostSteps &&
      start - s.taken < std::max(1.0, kSnapshotShare * cost)) {
    return true;
  }
  if (s.valid && s.steps > 0 && !finite_at(at)) return false;
  const double checked = now();
  const long size = network_->weights()->layout().size;
  if (s.weights.empty()) {
    s.weights.resize(size);
    s.state.resize(state_->elements());
    s.segments.reserve(kMostSteps);
    s.knobs.reserve(kMostSteps * knob_columns());
    s.losses.resize(kMostSteps);
    s.correct.resize(kMostSteps);
  }
  std::copy_n(network_->weights()->column(0), size, s.weights.begin());
  std::copy_n(state_->column(0), state_->elements(), s.state.begin());
  s.segments.clear();
  s.knobs.clear();
  s.steps = 0;
  s.changes = changes;
  s.valid = true;
  s.taken = now();
  s.cost = s.taken - checked;
  return true;
}

// From the snapshot, runs every step again but the last `steps`; returns how many it left out.
template <class T> long Session<T>::go_back(long steps) {
  Snapshot& s = *snapshot_;
  const std::optional<Fault> fault = fault_;
  std::copy(s.weights.begin(), s.weights.end(), network_->weights()->column(0));
  std::copy(s.state.begin(), s.state.end(), state_->column(0));
  steps = std::min(steps, s.steps);
  long left = s.steps - steps;
  for (const auto& segment : s.segments) {
    const long count = std::min(segment.count, left);
    left -= count;
    if (count == 0) continue;
    loop(segment.at, count, s.knobs.data() + segment.knobs, s.losses.data(), s.correct.data(),
         kForever, segment.separate);
  }
  s.valid = false;
  fault_ = fault;
  return steps;
}

template <class T>
std::string Session<T>::faulty_parameter(Position at, const double* knobs) {
  need_gradients();
  T* w = network_->weights()->column(0);
  const std::vector<T> kept(w, w + network_->weights()->layout().size);
  begin(knobs);
  const Step<T> step = step_at(batcher_, at, *plan_);
  plan_->run(step, 0, 1);
  std::string name = "update of the weights: too large for the number format";
  for (const GradTask<T>& task : plan_->tasks()) {
    T* g = gradients_->column(0) + task.offset;
    plan_->gradient(task, step.rows, g);
    if (!k_.all_finite(g, task.size)) {
      name = network_->graph().parameters()[task.parameter].name;
      break;
    }
  }
  std::copy(kept.begin(), kept.end(), w);
  return name;
}

template <class T>
double Session<T>::gradients(const Dataset& data, long at, double l1, double l2) {
  reserve(data.samples);
  need_gradients();
  const Batcher batcher(data, data.samples, seed_, false);
  const Step<T> step = step_at(batcher, {0, 0, at}, *plan_);
  const auto& tasks = plan_->tasks();
  T* g = gradients_->column(0);
  T* w = network_->weights()->column(0);
  const auto decayed = [&](const GradTask<T>& task) { return task.decay || decay_bias_; };
  const int wanted = wanted_threads(step.rows);
  plan_->reserve_threads(wanted);
  pool().run(wanted, [&](int thread, int threads) {
    plan_->run(step, thread, threads);
    if (threads > 1) pool().meet();
    for (std::size_t i = thread; i < tasks.size(); i += threads) {
      plan_->gradient(tasks[i], step.rows, g + tasks[i].offset);
      k_.finish_gradient(g + tasks[i].offset, w + tasks[i].offset, tasks[i].size,
                         decayed(tasks[i]) ? static_cast<T>(l1) : T(0),
                         decayed(tasks[i]) ? static_cast<T>(l2) : T(0), T(0));
    }
  });
  double objective = 0;
  for (long r = 0; r < step.rows; ++r) objective += plan_->values()[r];
  if (mean_) objective /= static_cast<double>(step.rows);
  for (const GradTask<T>& task : tasks) {
    if (!decayed(task) || (l1 == 0 && l2 == 0)) continue;
    for (long i = task.offset; i < task.offset + task.size; ++i) {
      const double x = static_cast<double>(w[i]);
      objective += 0.5 * l2 * x * x + l1 * std::abs(x);
    }
  }
  return objective;
}

template <class T> Totals Session<T>::evaluate(const Dataset& data, long batch_size) {
  batch_size = std::min(batch_size, data.samples);
  if (!evaluation_ || evaluation_->capacity() < batch_size) {
    evaluation_.reset();
    evaluation_ = std::make_unique<Plan<T>>(network_->graph(), evaluation(network_->graph()), k_,
                                            network_->weights(), batch_size, loss_, loss_option_);
  }
  const Batcher batcher(data, batch_size, 0, false);
  const int wanted = threads_for(evaluation_->cost_per_row() * static_cast<double>(batch_size));
  evaluation_->reserve_threads(wanted);
  Totals totals;
  for (long b = 0; b < batcher.batches(); ++b) {
    const Step<T> step = step_at(batcher, {0, b, 0}, *evaluation_);
    pool().run(wanted, [&](int thread, int threads) {
      if (b == 0) evaluation_->prepare(thread, threads);
      evaluation_->run_rows(step, thread, step.rows * thread / threads,
                            step.rows * (thread + 1) / threads);
    });
    for (long r = 0; r < step.rows; ++r) {
      const double weight = data.weights ? data.weights[b * batch_size + r] : 1.0;
      totals.loss += evaluation_->values()[r];
      totals.correct += weight * evaluation_->correct()[r];
      totals.weight += weight;
    }
  }
  return totals;
}

template class Session<float>;
template class Session<double>;

}  // namespace steep
