// Prepares steps, looks for faults, takes gradients by themselves.
#include "cpu/training.h"

#include <algorithm>
#include <atomic>

#include "cpu/objective.h"
#include "cpu/threads.h"

namespace steep {

template <class T>
CpuTraining<T>::CpuTraining(Program program, std::shared_ptr<CpuStore<T>> weights,
                            const Recipe& recipe)
    : CpuTraining(std::move(program), std::move(weights), recipe,
                  slot_columns(recipe, weights->layout())) {}

namespace {

std::vector<std::shared_ptr<const Layout>> layouts(const std::vector<SlotColumn>& columns) {
  std::vector<std::shared_ptr<const Layout>> all;
  for (const SlotColumn& column : columns) all.push_back(column.layout);
  return all;
}

}  // namespace

template <class T>
CpuTraining<T>::CpuTraining(Program program, std::shared_ptr<CpuStore<T>> weights,
                            const Recipe& recipe, const std::vector<SlotColumn>& columns)
    : program_(std::move(program)), weights_(std::move(weights)), k_(kernels<T>()), recipe_(recipe),
      slots_(weights_->shared_layout(), layouts(columns)),
      ruled_(recipe_.method ? std::vector<Ruled<T>>{}
                            : ruled(recipe_, *weights_, columns, slots_)) {
  const auto directs = [](int rule) { return rule_infos()[rule].directs(); };
  if (std::any_of(recipe_.rules.begin(), recipe_.rules.end(), directs)) {
    keep_gradients();
    directions_ = std::make_unique<Directions<T>>(recipe_, *gradients_);
  }
}

template <class T> long CpuTraining<T>::bytes() const {
  return slots_.bytes() + (gradients_ ? gradients_->bytes() : 0) +
         (kept_weights_ ? kept_weights_->bytes() : 0) + (directions_ ? directions_->bytes() : 0);
}

template <class T> long CpuTraining<T>::plan_bytes(long rows) const {
  return Plan<T>::bytes(program_, k_, weights_, rows, pool().threads());
}

// The plan there is stays until the larger one exists.
template <class T> void CpuTraining<T>::reserve(long rows) {
  if (plan_ && plan_->capacity() >= rows) return;
  auto larger = std::make_unique<Plan<T>>(program_, k_, weights_, rows);
  sums_.resize(larger->tasks().size());
  plan_ = std::move(larger);
  kept_statistics_.resize(plan_->statistics());
}

template <class T> template <class F> void CpuTraining<T>::each_part(Step<T> step, F&& f) const {
  const long rows = step.rows, part = step.batcher->at_once(rows);
  for (step.first = 0; step.first < rows; step.first += part) {
    step.rows = std::min(part, rows - step.first);
    if (!f(step)) return;
  }
}

template <class T> void CpuTraining<T>::keep_gradients() {
  if (!gradients_) gradients_ = std::make_unique<CpuStore<T>>(weights_->shared_layout(), 1);
}

template <class T> Update<T> CpuTraining<T>::update() {
  T* const gradients = gradients_ ? gradients_->column(0) : nullptr;
  return {*plan_, *weights_, slots_, recipe_, ruled_, gradients, sums_.data(), directions_.get()};
}

template <class T> Step<T> CpuTraining<T>::at(const Batcher& data, Position at) const {
  Step<T> step;
  step.batcher = &data;
  step.epoch = static_cast<uint64_t>(at.epoch);
  step.batch = at.batch;
  step.step = static_cast<uint64_t>(at.step);
  step.seed = recipe_.seed;
  step.rows = data.rows(at.batch);
  const T by = static_cast<T>(divisor(recipe_, data, at));
  step.factor = by >= std::numeric_limits<T>::min() ? T(1) / by : T(0);
  step.order = plan_->order();
  return step;
}

// How many a step on so many rows is worth; the plan is ready for them.
template <class T> int CpuTraining<T>::threads_for_rows(long rows) {
  constexpr double kFlopsPerUpdate = 20;  // of one parameter, with its root and its division
  const double size = static_cast<double>(weights_->layout().size);
  const double n = static_cast<double>(rows);
  const int wanted = threads_for(plan_->cost_per_row() * n + size * (2.0 * n + kFlopsPerUpdate) +
                                 (directions_ ? directions_->flops() : 0));
  plan_->reserve_threads(wanted);
  return wanted;
}

template <class T> bool CpuTraining<T>::finite_at(const Batcher& data, Position at) {
  std::atomic<bool> finite{true};
  each_part(this->at(data, at), [&](const Step<T>& step) {
    pool().run(threads_for_rows(step.rows), [&](int thread, int threads) {
      if (!plan_->run(step, thread, threads)) finite = false;
    });
    return finite.load();
  });
  return finite;
}

template <class T> std::string CpuTraining<T>::first_fault(const Batcher& data, Position at) {
  std::string fault = "loss";
  each_part(this->at(data, at), [&](const Step<T>& step) {
    fault = plan_->first_fault(step);
    return fault == "loss" && plan_->run(step, 0, 1);
  });
  return fault;
}

template <class T>
std::string CpuTraining<T>::faulty_parameter(const Batcher& data, Position at,
                                             const double* knobs) {
  Update<T> update = this->update();
  update.keep_weights();
  update.begin(knobs);
  std::string name = "update of the weights: too large for the number format";
  each_part(this->at(data, at), [&](const Step<T>& step) {
    plan_->run(step, 0, 1);
    for (const GradTask<T>& task : plan_->tasks()) {
      alignas(64) T g[kLargestTask];
      plan_->gradient(task, step.rows, g);
      if (k_.all_finite(g, task.size)) continue;
      name = weights_->layout().slices[task.parameter].name;
      return false;
    }
    return true;
  });
  update.end(knobs, 0);
  return name;
}

template <class T> std::optional<std::string> CpuTraining<T>::faulty_slot() {
  constexpr double kFlopsPerLook = 2;  // at one element
  const long elements = slots_.elements();
  std::atomic<bool> finite{true};
  pool().run(
      threads_for(kFlopsPerLook * static_cast<double>(elements)), [&](int thread, int threads) {
        const long from = elements * thread / threads, to = elements * (thread + 1) / threads;
        if (!k_.all_finite(slots_.column(0) + from, to - from)) finite = false;
      });
  if (finite) return std::nullopt;
  for (int i = 0; i < slots_.columns(); ++i) {
    for (const Slice& s : slots_.layout(i).slices) {
      if (!k_.all_finite(slots_.column(i) + s.offset, s.size)) return s.name;
    }
  }
  return "optimizer";
}

template <class T>
double CpuTraining<T>::gradients(const Batcher& data, long number, const Penalties& penalties,
                                 const std::vector<void*>& outs, Halt& halt) {
  Step<T> step = at(data, {0, 0, number});
  step.halt = &halt;
  keep_gradients();
  const Layout& layout = weights_->layout();
  const double value = objective(
      *plan_, *weights_, step,
      {divisor(recipe_, data, {0, 0, number}), by_parameter(recipe_, layout, penalties.l1),
       by_parameter(recipe_, layout, penalties.l2)},
      gradients_->column(0), threads_for_rows(step.rows));
  if (halt.wanted()) return value;
  for (std::size_t i = 0; i < outs.size(); ++i) {
    if (outs[i] != nullptr) gradients_->get(0, static_cast<int>(i), outs[i]);
  }
  return value;
}

template <class T> void CpuTraining<T>::save() {
  saved_weights_.resize(weights_->layout().size);
  saved_slots_.resize(slots_.elements());
  std::copy_n(weights_->column(0), saved_weights_.size(), saved_weights_.begin());
  std::copy_n(slots_.column(0), saved_slots_.size(), saved_slots_.begin());
}

template <class T> void CpuTraining<T>::restore() {
  std::copy(saved_weights_.begin(), saved_weights_.end(), weights_->column(0));
  std::copy(saved_slots_.begin(), saved_slots_.end(), slots_.column(0));
}

template class CpuTraining<float>;
template class CpuTraining<double>;

}  // namespace steep
