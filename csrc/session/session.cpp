// Sets a session up and runs it; takes gradients, evaluates, and copies its state out.
#include "session/session.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/memory.h"
#include "cpu/threads.h"
#include "session/snapshot.h"

namespace steep {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kVerifyShare = 100;  // looking at the slots may cost a hundredth of the time

}  // namespace

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <class T>
Session<T>::Session(std::shared_ptr<Network<T>> network, int loss, double loss_option, int rule,
                    uint64_t seed, bool mean, bool decay_bias)
    : network_(std::move(network)), k_(kernels<T>()), objective_{loss, loss_option}, rule_(rule),
      seed_(seed), mean_(mean), decay_bias_(decay_bias),
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
  return Plan<T>::bytes(training(network_->graph(), objective_), k_, network_->weights(), rows,
                        pool().threads());
}

template <class T> long Session<T>::snapshot_bytes() const {
  return network_->weights()->bytes() + state_->bytes();
}

// The plan there is stays until the larger one exists.
template <class T> void Session<T>::reserve(long rows) {
  if (plan_ && plan_->capacity() >= rows) return;
  auto larger = std::make_unique<Plan<T>>(training(network_->graph(), objective_), k_,
                                          network_->weights(), rows);
  squares_.resize(larger->tasks().size());
  plan_ = std::move(larger);
}

template <class T> void Session<T>::set_data(Dataset data, Order order) {
  const Inside alone(gate_, Inside::kWrite);
  reserve(std::min(order.batch_size, data.samples));
  take(std::make_shared<const Batcher>(std::move(data), order, seed_), false);
}

// A batch is copied for the way back. Blocks come free all at once, with a new snapshot: it is enough
// to look at the next one.
template <class T> std::shared_ptr<Block> Session<T>::free_copy(long bytes) {
  if (next_copy_ >= copies_.size()) next_copy_ = 0;
  const bool found = !copies_.empty() && copies_[next_copy_].use_count() <= 1;
  if (!found) next_copy_ = copies_.size();
  if (!found) copies_.emplace_back();
  std::shared_ptr<Block>& block = copies_[next_copy_++];
  if (!block || static_cast<long>(block->bytes()) < bytes) {
    block = std::make_shared<Block>(static_cast<std::size_t>(bytes));
  }
  return block;
}

// A copy lets the way back reach over steps to come. Where it costs more than a new snapshot it is not
// made, and the way back ends with the step.
template <class T> void Session<T>::set_batch(const Dataset& data) {
  const Inside alone(gate_, Inside::kWrite);
  reserve(data.samples);
  data_ = nullptr;  // its copy may be the next
  const long bytes = copied_bytes(data);
  const Order order{.batch_size = data.samples};
  take(std::make_shared<const Batcher>(
           bytes < snapshot_bytes() ? copy_into(free_copy(bytes), data) : data, order, seed_),
       true);
}

template <class T> void Session<T>::release_data() {
  const Inside alone(gate_, Inside::kWrite);
  take(nullptr, false);
  if (snapshot_->segments.empty()) copies_.clear();
}

// The way back needs the data of the steps it goes over.
template <class T> void Session<T>::take(Data data, bool single) {
  data_ = std::move(data);
  single_ = single;
  snapshot_->forget_borrowed();
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

template <class T>
bool Session<T>::separate(const double* knobs, long count, long rows) const {
  constexpr double kLongGradient = 4e10;  // flops: about 0.2 s on two cores
  for (long i = 0; i < count; ++i) {
    if (knobs[i * knob_columns() + kClipNorm] < kNoLimit) return true;
  }
  const double size = static_cast<double>(network_->weights()->layout().size);
  return 2.0 * size * static_cast<double>(rows) > kLongGradient;
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

template <class T> int Session<T>::wanted_threads(const Plan<T>& plan, long rows) const {
  constexpr double kFlopsPerUpdate = 20;  // of one parameter, with its root and its division
  const double size = static_cast<double>(network_->weights()->layout().size);
  const double n = static_cast<double>(rows);
  return threads_for(plan.cost_per_row() * n + size * (2.0 * n + kFlopsPerUpdate));
}

template <class T>
long Session<T>::run(long count, const double* knobs, long known, double budget, Halt& halt) {
  const Inside alone(gate_, Inside::kWrite, &halt);
  if (!alone) return -1;
  const Inside training = train(&halt);
  if (!training) return -1;
  if (!data_) refuse("a run without data");
  const double start = now();
  fault_.reset();
  const Position at{progress_.epoch, single_ ? 0 : progress_.batch, progress_.steps};
  count = std::min({count, data_->batches() - at.batch, kMostSteps});
  if (count <= 0) return 0;
  const bool apart = separate(knobs, count, data_->rows(at.batch));
  if (apart) need_gradients();
  const long logged = at.step - static_cast<long>(log_.size());
  log_.erase(log_.begin(), log_.begin() + std::clamp(known - logged, 0L, at.step - logged));
  long done = 0;
  if (remember(at, count)) {
    done = loop(*data_, at, count, knobs, budget, apart, &halt);
    snapshot_->add({data_, at, done, apart, single_}, knobs, knob_columns());
  }
  if (fault_) {
    settle(at, done, knobs);
  } else {
    tally(*data_, at, done, single_);
  }
  if (!single_) progress_.seconds += now() - start;
  network_->weights()->note_change();
  snapshot_->changes = network_->weights()->changes() + state_->changes();
  publish();
  return std::max(0L, progress_.steps - at.step);
}

// Adds what the loop left to the progress.
template <class T>
void Session<T>::tally(const Batcher& data, Position at, long done, bool single) {
  for (long i = 0; i < done; ++i) {
    const double rows = static_cast<double>(data.rows(at.batch + i));
    log_.push_back(mean_ ? outcome_.loss[i] / rows : outcome_.loss[i]);
    ++progress_.steps;
    if (single) continue;
    if (at.batch + i == 0) {
      const double seconds = at.epoch == progress_.epoch ? progress_.seconds : 0;
      progress_.begin_epoch(at.epoch);
      progress_.seconds = seconds;
    }
    progress_.batch = at.batch + i + 1;
    progress_.loss += outcome_.loss[i];
    progress_.right += outcome_.right[i];
    progress_.weight += outcome_.weight[i];
  }
}

template <class T> void Session<T>::publish() {
  steps_.store(progress_.steps, std::memory_order_relaxed);
  epoch_.store(progress_.epoch, std::memory_order_relaxed);
}

template <class T> bool Session<T>::finite_slots() const {
  constexpr double kFlopsPerLook = 2;  // at one element
  const long elements = state_->elements();
  std::atomic<bool> finite{true};
  pool().run(
      threads_for(kFlopsPerLook * static_cast<double>(elements)), [&](int thread, int threads) {
        const long from = elements * thread / threads, to = elements * (thread + 1) / threads;
        if (!k_.all_finite(state_->column(0) + from, to - from)) finite = false;
      });
  return finite;
}

template <class T> std::string Session<T>::faulty_slot() const {
  for (std::size_t i = 0; i < slots().size(); ++i) {
    for (const Slice& s : state_->layout().slices) {
      if (!k_.all_finite(slot(static_cast<int>(i)) + s.offset, s.size)) return s.name;
    }
  }
  return "optimizer";
}

template <class T> bool Session<T>::verify(bool always, Halt& halt) {
  const Inside alone(gate_, Inside::kWrite, &halt);
  if (!alone) return true;
  if (verified_at_ == progress_.steps && verified_changes_ == state_->changes()) return true;
  const double start = now();
  if (!always && start - verified_ < kVerifyShare * verify_seconds_) return true;
  const bool finite = finite_slots();
  verified_at_ = finite ? progress_.steps : -1;
  verified_changes_ = state_->changes();
  verified_ = now();
  verify_seconds_ = verified_ - start;
  if (finite) return true;
  const Inside training = train(&halt);
  if (!training) return true;
  fault_ = Fault{"optimizer's state", faulty_slot()};
  if (snapshot_->fits(network_->weights()->changes() + state_->changes())) {
    go_back(snapshot_->steps - steps_with_finite_slots());
    network_->weights()->note_change();
    publish();
  }
  return false;
}

template <class T> std::optional<Fault> Session<T>::fault() {
  const Inside reading(gate_, Inside::kRead);
  return fault_;
}

template <class T> Progress Session<T>::progress() {
  const Inside reading(gate_, Inside::kRead);
  return progress_;
}

template <class T> void Session<T>::set_progress(const Progress& progress) {
  const Inside alone(gate_, Inside::kWrite);
  progress_ = progress;
  log_.clear();
  snapshot_->valid = false;
  publish();
}

template <class T> void Session<T>::begin_epoch(bool next) {
  const Inside alone(gate_, Inside::kWrite);
  progress_.begin_epoch(progress_.epoch + (next ? 1 : 0));
  publish();
}

template <class T> std::pair<Progress, std::vector<double>> Session<T>::losses(long first) {
  const Inside reading(gate_, Inside::kRead);
  first = std::min(first, progress_.steps);
  const long logged = progress_.steps - static_cast<long>(log_.size());
  std::vector<double> out(std::max(0L, std::min(logged, progress_.steps) - first), kNaN);
  out.insert(out.end(), log_.begin() + std::clamp(first - logged, 0L, progress_.steps - logged),
             log_.end());
  return {progress_, std::move(out)};
}

template <class T>
std::string Session<T>::faulty_parameter(Position at, const double* knobs) {
  need_gradients();
  T* w = network_->weights()->column(0);
  const std::vector<T> kept(w, w + network_->weights()->layout().size);
  begin(knobs);
  const Step<T> step = step_at(*data_, at, *plan_);
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
double Session<T>::gradients(const Dataset& data, double l1, double l2, const std::vector<T*>& outs,
                             Halt& halt) {
  const Inside alone(gate_, Inside::kWrite, &halt);
  if (!alone) return kNaN;
  const Inside looking = look(&halt);
  if (!looking) return kNaN;
  reserve(data.samples);
  need_gradients();
  const Batcher batcher(data, {.batch_size = data.samples}, seed_);
  Step<T> step = step_at(batcher, {0, 0, progress_.steps}, *plan_);
  step.halt = &halt;
  const auto& tasks = plan_->tasks();
  T* g = gradients_->column(0);
  T* w = network_->weights()->column(0);
  const auto decayed = [&](const GradTask<T>& task) { return task.decay || decay_bias_; };
  const int wanted = wanted_threads(*plan_, step.rows);
  plan_->reserve_threads(wanted);
  pool().run(wanted, [&](int thread, int threads) {
    plan_->run(step, thread, threads);
    if (threads > 1) pool().meet();
    for (std::size_t i = thread; i < tasks.size(); i += threads) {
      if (thread == 0) halt.ask();
      if (halt.wanted()) return;
      plan_->gradient(tasks[i], step.rows, g + tasks[i].offset);
      k_.finish_gradient(g + tasks[i].offset, w + tasks[i].offset, tasks[i].size,
                         decayed(tasks[i]) ? static_cast<T>(l1) : T(0),
                         decayed(tasks[i]) ? static_cast<T>(l2) : T(0), static_cast<T>(kNoLimit));
    }
  });
  if (halt.wanted()) return kNaN;
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
  for (std::size_t i = 0; i < outs.size(); ++i) {
    if (outs[i] != nullptr) gradients_->get(0, static_cast<int>(i), outs[i]);
  }
  return objective;
}

template <class T>
Totals Session<T>::evaluate(const Dataset& data, long batch_size, Halt& halt) {
  batch_size = std::min(batch_size, data.samples);
  const Inside looking = look(&halt);
  if (!looking) return {};
  const auto plan = evaluation_.take(batch_size, [&](long rows) {
    return std::make_unique<Plan<T>>(evaluation(network_->graph(), objective_), k_,
                                     network_->weights(), rows);
  });
  const Batcher batcher(data, {.batch_size = batch_size}, seed_);
  const int wanted = threads_for(plan->cost_per_row() * static_cast<double>(batch_size));
  plan->reserve_threads(wanted);
  Totals totals;
  for (long b = 0; b < batcher.batches() && !halt.wanted(); ++b) {
    Step<T> step = step_at(batcher, {0, b, 0}, *plan);
    step.halt = &halt;
    halt.ask();
    pool().run(wanted, [&](int thread, int threads) {
      if (b == 0) plan->prepare(thread, threads);
      plan->run_rows(step, thread, step.rows * thread / threads,
                     step.rows * (thread + 1) / threads);
    });
    for (long r = 0; r < step.rows; ++r) {
      const double weight = data.weights ? data.weights[b * batch_size + r] : 1.0;
      totals.loss += plan->values()[r];
      totals.correct += weight * plan->correct()[r];
      totals.weight += weight;
    }
  }
  return totals;
}

template <class T>
Progress Session<T>::copy_out(const std::vector<T*>& weights, const std::vector<T*>& slots) {
  const Inside reading(gate_, Inside::kRead);
  const Inside looking = look();
  const int parameters = static_cast<int>(weights.size());
  for (int p = 0; p < parameters; ++p) network_->weights()->get(0, p, weights[p]);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    state_->get(static_cast<int>(i) / parameters, static_cast<int>(i) % parameters, slots[i]);
  }
  return progress_;
}

template <class T> void Session<T>::assign_slots(const std::vector<const T*>& slots) {
  const Inside alone(gate_, Inside::kWrite);
  const int parameters = static_cast<int>(state_->layout().slices.size());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    state_->set(static_cast<int>(i) / parameters, static_cast<int>(i) % parameters, slots[i]);
  }
}

template class Session<float>;
template class Session<double>;

}  // namespace steep
