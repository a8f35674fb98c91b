// Makes room, looks for faults, takes gradients by themselves, copies weights and slots aside.
#include "cuda/training.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace steep::cuda {

namespace {

std::vector<std::shared_ptr<const Layout>> layouts(const std::vector<SlotColumn>& columns) {
  std::vector<std::shared_ptr<const Layout>> all;
  for (const SlotColumn& column : columns) all.push_back(column.layout);
  return all;
}

// What the sum of a loss over a batch is divided by; 0 where no sample weighs anything.
double divisor(const LossTerm& term, const Recipe& recipe, const Batcher& data, Position at) {
  if (!recipe.mean) return 1;
  if (!recipe.weighted) return static_cast<double>(data.rows(at.batch));
  return data.weight(static_cast<uint64_t>(at.epoch), at.batch, term.weights, term.target);
}

void copy(const Stream& stream, void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream.get()), "a copy");
  stream.wait();
}

}  // namespace

CudaTraining::CudaTraining(Aim aim, int scalars, std::shared_ptr<CudaStore> weights)
    : program_(std::move(aim.program)), weights_(std::move(weights)),
      recipe_(std::move(aim.recipe)), knobs_({recipe_}, scalars),
      columns_(slot_columns(recipe_, weights_->layout())),
      slots_(weights_->shared_layout(), layouts(columns_)),
      update_(recipe_, program_.trains, *weights_, slots_, columns_, stream_), shown_(stream_),
      flag_(sizeof(unsigned)) {
  static_assert(kMostTerms <= kMostLosses);
  Plan::bytes(program_, 1);  // refuses what has no kernel before the first step
}

// The plan there is stays until the larger one exists.
void CudaTraining::reserve(long rows) {
  if (plan_ && plan_->capacity() >= rows) return;
  auto larger = std::make_unique<Plan>(program_, weights_, rows, stream_);
  graphs_.clear();
  plan_ = std::move(larger);
}

StepRow CudaTraining::row_of(const Batcher& data, Position at, const double* scalars) const {
  StepRow row{static_cast<uint64_t>(at.epoch),
              static_cast<uint64_t>(at.batch * data.batch_size()),
              static_cast<uint64_t>(at.step),
              static_cast<int>(data.rows(at.batch)),
              {}};
  for (std::size_t t = 0; t < program_.losses.size(); ++t) {
    const LossTerm& term = program_.losses[t];
    const float by = static_cast<float>(divisor(term, recipe_, data, at));
    const float factor = by >= std::numeric_limits<float>::min() ? 1.0f / by : 0.0f;
    row.factors[t] = factor * static_cast<float>(term.weight_at(scalars));
  }
  return row;
}

std::vector<std::vector<double>> CudaTraining::losses_at(const Batcher& data, Position at,
                                                         const double* scalars) {
  use(data);
  const StepRow row = row_of(data, at, scalars);
  lay_out({row}, nullptr);
  plan_->forward(place(row.rows));
  std::vector<std::vector<double>> all;
  for (std::size_t t = 0; t < program_.losses.size(); ++t) {
    std::vector<double>& values = all.emplace_back(static_cast<std::size_t>(row.rows));
    read(stream_, values.data(), plan_->losses(static_cast<int>(t)).values,
         values.size() * sizeof(double));
  }
  return all;
}

int CudaTraining::bad_loss_at(const Batcher& data, Position at, const double* knobs) {
  for (const std::vector<double>& values : losses_at(data, at, scalars_of(knobs))) {
    if (!std::all_of(values.begin(), values.end(), [](double x) { return std::isfinite(x); })) {
      return 0;
    }
  }
  return kFinite;
}

std::string CudaTraining::first_fault(const Batcher& data, Position at, const double* knobs, int) {
  use(data);
  const StepRow row = row_of(data, at, scalars_of(knobs));
  lay_out({row}, nullptr);
  return plan_->first_fault(place(row.rows));
}

bool CudaTraining::all_finite(const float* x, long n) {
  unsigned found = 0;
  write(stream_, flag_.data(), &found, sizeof(found));
  find_not_finite(stream_.get(), x, n, flag_.as<unsigned>());
  read(stream_, &found, flag_.data(), sizeof(found));
  return found == 0;
}

std::string CudaTraining::faulty_parameter(const Batcher& data, Position at, const double* knobs,
                                           int) {
  use(data);
  const StepRow row = row_of(data, at, scalars_of(knobs));
  lay_out({row}, knobs);
  const Place here = place(row.rows);
  update_.begin(here);
  plan_->forward(here);
  plan_->backward(here);
  plan_->early_gradients(here, update_.gradients());
  plan_->late_gradients(here, update_.gradients());
  update_.end(here, 0);
  const std::vector<Slice>& slices = weights_->layout().slices;
  for (std::size_t p = 0; p < slices.size(); ++p) {
    const bool finite = all_finite(update_.gradients() + slices[p].offset, slices[p].size);
    if (program_.trains[p] && !finite) return slices[p].name;
  }
  return "update of the weights: too large for the number format";
}

std::optional<std::string> CudaTraining::faulty_slot() {
  if (all_finite(slots_.column(0), slots_.elements())) return std::nullopt;
  for (int i = 0; i < slots_.columns(); ++i) {
    for (const Slice& s : slots_.layout(i).slices) {
      if (!all_finite(slots_.column(i) + s.offset, s.size)) return s.name;
    }
  }
  return "optimizer";
}

double CudaTraining::gradients(const Batcher& data, long number, int, const double* scalars,
                               const Penalties& penalties, const std::vector<void*>& outs, Halt&) {
  const Position at{0, 0, number};
  const std::vector<std::vector<double>> all = losses_at(data, at, scalars);
  const Place here = place(data.rows(0));
  plan_->backward(here);
  plan_->early_gradients(here, update_.gradients());
  plan_->late_gradients(here, update_.gradients());
  const Layout& layout = weights_->layout();
  const std::vector<double> l1 = by_parameter(recipe_, layout, penalties.l1);
  const std::vector<double> l2 = by_parameter(recipe_, layout, penalties.l2);
  std::vector<float> w(static_cast<std::size_t>(layout.size)), g(w.size());
  read(stream_, w.data(), weights_->column(0), w.size() * sizeof(float));
  read(stream_, g.data(), update_.gradients(), g.size() * sizeof(float));
  double sum = 0;
  for (std::size_t t = 0; t < all.size(); ++t) {
    const LossTerm& term = program_.losses[t];
    double loss = 0;
    for (const double value : all[t]) loss += value;
    if (const double by = divisor(term, recipe_, data, at); by > 0) loss /= by;
    sum += term.weight_at(scalars) * loss;
  }
  // In the order of the CPU's tasks; so few numbers are the host's.
  for (const Task& task : Tasks(layout, program_.trains).all) {
    const auto p = static_cast<std::size_t>(task.parameter);
    for (long i = task.offset; i < task.offset + task.size; ++i) {
      if (l1[p] == 0 && l2[p] == 0) continue;
      const float sign = static_cast<float>(w[i] > 0) - static_cast<float>(w[i] < 0);
      g[i] = std::fma(static_cast<float>(l1[p]), sign,
                      std::fma(static_cast<float>(l2[p]), w[i], g[i]));
      const double x = w[i];
      sum += 0.5 * l2[p] * x * x + l1[p] * std::abs(x);
    }
  }
  for (std::size_t i = 0; i < outs.size(); ++i) {
    if (outs[i] != nullptr) unpack(layout.slices[i], g.data(), static_cast<float*>(outs[i]));
  }
  return sum;
}

void CudaTraining::save() {
  const std::size_t weights = static_cast<std::size_t>(weights_->layout().size) * sizeof(float);
  const std::size_t slots = static_cast<std::size_t>(slots_.elements()) * sizeof(float);
  if (saved_weights_.bytes() < weights) saved_weights_ = Memory(weights);
  if (saved_slots_.bytes() < slots) saved_slots_ = Memory(slots);
  copy(stream_, saved_weights_.data(), weights_->column(0), weights);
  if (slots > 0) copy(stream_, saved_slots_.data(), slots_.column(0), slots);
}

void CudaTraining::restore() {
  const std::size_t weights = static_cast<std::size_t>(weights_->layout().size) * sizeof(float);
  const std::size_t slots = static_cast<std::size_t>(slots_.elements()) * sizeof(float);
  copy(stream_, weights_->column(0), saved_weights_.data(), weights);
  if (slots > 0) copy(stream_, slots_.column(0), saved_slots_.data(), slots);
}

}  // namespace steep::cuda
