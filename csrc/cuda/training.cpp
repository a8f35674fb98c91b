// Makes room, looks for faults, takes gradients by themselves, copies weights and slots aside.
#include "cuda/training.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace steep::cuda {

namespace {

std::vector<Recipe> recipes_of(const std::vector<Aim>& aims) {
  std::vector<Recipe> all;
  for (const Aim& aim : aims) all.push_back(aim.recipe);
  return all;
}

std::vector<std::shared_ptr<const Layout>> layouts(const std::vector<Aim>& aims,
                                                   const Layout& weights) {
  std::vector<std::shared_ptr<const Layout>> all;
  for (const Aim& aim : aims) {
    for (const SlotColumn& column : slot_columns(aim.recipe, weights)) all.push_back(column.layout);
  }
  return all;
}

// Kernels of both devices know no denormals.
float flushed(float x) {
  return std::abs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0f, x) : x;
}

void copy(const Stream& stream, void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;  // of a network without weights there is no memory
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream.get()), "a copy");
  stream.wait();
}

}  // namespace

CudaTraining::CudaTraining(std::vector<Aim> aims, int scalars, std::shared_ptr<CudaStore> weights,
                           Products products)
    : weights_(std::move(weights)), products_(products), knobs_(recipes_of(aims), scalars),
      slots_(weights_->shared_layout(), layouts(aims, weights_->layout())),
      gradients_(static_cast<std::size_t>(weights_->layout().size) * sizeof(float)),
      shown_(stream_), flag_(sizeof(unsigned)) {
  if (aims.size() > kObjectives) {
    refuse("a training has at most ", kObjectives, " objectives, got ", aims.size());
  }
  int first = 0;  // column of slots
  for (std::size_t i = 0; i < aims.size(); ++i) {
    goals_.push_back({std::move(aims[i]), knobs_.first[i], terms_});
    Goal& goal = goals_.back();
    Plan::bytes(goal.program, weights_->layout(), 1, products_);  // refuses what has no kernel
    if (!goal.recipe.method) {
      goal.update = std::make_unique<Update>(goal.recipe, goal.program.trains, *weights_, slots_,
                                             first, gradients_.as<float>(), stream_);
    }
    terms_ += static_cast<int>(goal.program.losses.size());
    first += static_cast<int>(slot_columns(goal.recipe, weights_->layout()).size());
  }
}

std::string CudaTraining::stored() const {
  std::string all;
  for (const Goal& goal : goals_) {
    if (!goal.plan) continue;
    const std::string one = goal.plan->narrow_tensors();
    all += (all.empty() || one.empty() ? "" : "; ") + one;
  }
  return all;
}

long CudaTraining::bytes() const {
  std::size_t more = gradients_.bytes() + kept_weights_.bytes();
  for (const Goal& goal : goals_) more += goal.update ? goal.update->bytes() : 0;
  return slots_.bytes() + static_cast<long>(more);
}

// Plans that run one after the other have one arena.
long CudaTraining::plan_bytes() const {
  long bytes = 0;
  for (const Goal& goal : goals_) bytes = std::max(bytes, goal.plan ? goal.plan->bytes() : 0);
  return bytes + static_cast<long>(tables_.bytes());
}

long CudaTraining::plan_bytes(long rows) const {
  long bytes = 0;
  for (const Goal& goal : goals_) {
    bytes = std::max(bytes, Plan::bytes(goal.program, weights_->layout(), rows, products_));
  }
  return bytes + table_bytes();
}

// The plans there are stay until the larger ones exist.
void CudaTraining::reserve(long rows) {
  settle(rows);
  if (goals_[0].plan && goals_[0].plan->capacity() >= rows) return;
  std::shared_ptr<Memory> arena;
  if (goals_.size() > 1) {
    arena = std::make_shared<Memory>(static_cast<std::size_t>(plan_bytes(rows)));
  }
  std::vector<std::unique_ptr<Plan>> larger;
  for (const Goal& goal : goals_) {
    larger.push_back(std::make_unique<Plan>(goal.program, weights_, rows, stream_, products_,
                                            goal.terms, arena));
  }
  graphs_.clear();
  records_.reset();
  for (std::size_t i = 0; i < goals_.size(); ++i) goals_[i].plan = std::move(larger[i]);
}

std::vector<Watched> CudaTraining::watched() const {
  if (goals_.size() > 1) refuse("steps of several objectives are not recorded");
  if (!goals_[0].update) refuse("steps of methods for full batches are not recorded");
  return steep::watched(goals_[0].program);
}

// What holds larger batches holds these.
void CudaTraining::settle(long rows) {
  const Goal& goal = goals_[0];
  if (resident_ && rows <= resident_->rows() && resident_on()) return;
  resident_.reset();
  why_graphs_ = !resident_on()                        ? "STEEP_RESIDENT=off"
                : products_ != Products::Exact        ? "products are not exact"
                : goals_.size() > 1 || goal.every > 1 ? "more than one objective"
                : !goal.update                        ? "a method for full batches"
                                                      : "";
  if (!why_graphs_.empty()) return;
  Chain chain(goal.program, weights_->layout(), goal.recipe, knobs_.columns, rows,
              most_shared_memory());
  why_graphs_ = chain.why_not;
  if (!why_graphs_.empty()) return;
  resident_ = std::make_unique<ResidentSteps>(std::move(chain), *goal.update, *weights_, stream_);
}

void CudaTraining::add_row(Table& to, const Batcher& data, Position at, const double* knobs) const {
  const long rows = data.rows(at.batch), first = at.batch * data.batch_size();
  std::size_t c = 0;
  while (to.chunks[c].end() <= at.batch) ++c;
  const long there = shown_.row(data, to.chunks[c], at.batch);
  for (int part = 0; part < parts_; ++part) {
    const long before = std::min(part * at_once_, rows);
    to.rows.push_back({static_cast<uint64_t>(at.epoch), static_cast<uint64_t>(first + before),
                       static_cast<uint64_t>(at.step), 0,
                       static_cast<int>(std::min(at_once_, rows - before)),
                       static_cast<int>(before), there + before});
  }
  to.sizes.push_back(static_cast<int>(rows));
  unsigned due = 0;
  for (std::size_t g = 0; g < goals_.size(); ++g) {
    const Goal& goal = goals_[g];
    const bool uphill = knobs[goal.knobs + kSharpness] > 0;
    if (goal.due(at.step)) due |= (uphill ? 1U | 1U << kObjectives : 1U) << g;
    for (const LossTerm& term : goal.program.losses) {
      const float by = static_cast<float>(divisor(term, goal.recipe, data, at));
      const float factor = by >= std::numeric_limits<float>::min() ? 1.0f / by : 0.0f;
      const double weight = term.weight_at(knobs + knobs_.scalars);
      to.terms.push_back({share(term, goal.recipe, data, at), factor * static_cast<float>(weight)});
    }
  }
  to.due.push_back(due);
}

auto CudaTraining::alone(const Batcher& data, Position at, const double* knobs) -> Table {
  Table table;
  table.chunks = shown_.route(data, at, 1, 1);
  add_row(table, data, at, knobs);
  lay_out(table, knobs);
  shown_.send(data, table.chunks[0]);
  shown_.hold_back(table.chunks[0]);
  return table;
}

Place CudaTraining::prepare(const Batcher& data, Position at, const double* knobs) {
  use(data);
  return place(alone(data, at, knobs).sizes[0]);
}

std::vector<double> CudaTraining::values(const Goal& goal, std::size_t term, long rows) const {
  std::vector<double> values(static_cast<std::size_t>(rows));
  read(stream_, values.data(), goal.plan->losses(static_cast<int>(term)).values,
       values.size() * sizeof(double));
  return values;
}

void CudaTraining::pass(const Goal& goal, const Place& at) const {
  goal.plan->forward(at);
  goal.plan->backward(at);
  goal.plan->early_gradients(at, gradients_.as<float>(), false);
  goal.plan->late_gradients(at, gradients_.as<float>(), false);
}

int CudaTraining::bad_loss_at(const Batcher& data, Position at, const double* knobs) {
  const Place here = prepare(data, at, knobs);
  for (std::size_t i = 0; i < goals_.size(); ++i) {
    const Goal& goal = goals_[i];
    if (!goal.due(at.step)) continue;
    bool good = true;
    each_part(place_of(goal, here), [&](const Place& part, bool) {
      goal.plan->forward(part);
      goal.plan->check(part);
      Cursor cursor{};
      read(stream_, &cursor, now_.cursor, sizeof(cursor));
      return good = goal.plan->finite_losses(part.rows) && cursor.bad_loss == 0;
    });
    if (!good) return static_cast<int>(i);
  }
  return kFinite;
}

std::optional<Origin> CudaTraining::first_fault(const Goal& goal, const Batcher& data, Position at,
                                                const Place& part) const {
  std::optional<Origin> fault = goal.plan->first_fault(part);
  if (fault && fault->sample >= 0) {
    const long row = part.now.part * at_once_ + fault->sample;
    fault->sample = data.sample(static_cast<uint64_t>(at.epoch), at.batch, row);
  }
  return fault;
}

Origin CudaTraining::first_fault(const Batcher& data, Position at, const double* knobs,
                                 int objective) {
  if (const auto weight = faulty_weight()) return {*weight, "weight", "forward"};
  const Goal& goal = goals_[objective];
  std::optional<Origin> fault;
  each_part(place_of(goal, prepare(data, at, knobs)), [&](const Place& part, bool) {
    fault = first_fault(goal, data, at, part);
    return !fault;
  });
  return fault.value_or(Origin{"loss", "loss", "forward"});
}

bool CudaTraining::all_finite(const float* x, long n) {
  unsigned found = 0;
  write(stream_, flag_.data(), &found, sizeof(found));
  find_not_finite(stream_.get(), x, n, flag_.as<unsigned>());
  read(stream_, &found, flag_.data(), sizeof(found));
  return found == 0;
}

Origin CudaTraining::faulty_gradient(const Batcher& data, Position at, const double* knobs,
                                     int objective) {
  const Goal& goal = goals_[objective];
  const Place here = place_of(goal, prepare(data, at, knobs));
  const std::vector<Slice>& slices = weights_->layout().slices;
  Origin found{"update of the weights: too large for the number format", "update", "update"};
  goal.update->begin(here);
  each_part(here, [&](const Place& part, bool) {
    pass(goal, part);
    for (std::size_t p = 0; p < slices.size(); ++p) {
      const float* const gradient = gradients_.as<float>() + slices[p].offset;
      if (!goal.program.trains[p] || all_finite(gradient, slices[p].size)) continue;
      found = {slices[p].name, "gradient", "backward"};
      if (const auto first = first_fault(goal, data, at, part)) found.made_by(*first);
      return false;
    }
    return true;
  });
  goal.update->end(here, 0);
  return found;
}

std::optional<std::string> CudaTraining::faulty_weight() {
  for (const Slice& s : weights_->layout().slices) {
    if (!all_finite(weights_->column(0) + s.offset, s.size)) return s.name;
  }
  return std::nullopt;
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

std::vector<const Aim*> CudaTraining::aims_of() const {
  std::vector<const Aim*> aims;
  for (const Goal& goal : goals_) aims.push_back(&goal);
  return aims;
}

double CudaTraining::weighted(const Goal& goal, std::size_t t, double loss, const Batcher& data,
                              Position at, const double* scalars) {
  const LossTerm& term = goal.program.losses[t];
  if (const double by = divisor(term, goal.recipe, data, at); by > 0) loss /= by;
  return term.weight_at(scalars) * loss;
}

// In the order of the CPU's tasks; so few numbers are the host's.
double CudaTraining::penalise(const Goal& goal, const std::vector<double>& l1,
                              const std::vector<double>& l2, const float* w, float* g,
                              double sum) const {
  const Tasks tasks(weights_->layout(), goal.program.trains, goal.program.repeats);
  for (const Task& task : tasks.all) {
    const auto p = static_cast<std::size_t>(task.parameter);
    if (l1[p] == 0 && l2[p] == 0) continue;
    const float by_sign = static_cast<float>(l1[p]), by = static_cast<float>(l2[p]);
    for (long i = task.offset; i < task.offset + task.size; ++i) {
      const float sign = static_cast<float>(w[i] > 0) - static_cast<float>(w[i] < 0);
      g[i] = flushed(std::fma(by_sign, sign, flushed(std::fma(by, flushed(w[i]), g[i]))));
      const double x = w[i];
      sum += 0.5 * l2[p] * x * x + l1[p] * std::abs(x);
    }
  }
  return sum;
}

double CudaTraining::gradients(const Batcher& data, long number, int objective,
                               const double* scalars, const Penalties& penalties,
                               const std::vector<void*>& outs, Halt&) {
  const Goal& goal = goals_[objective];
  const Position at{0, 0, number};
  std::vector<double> knobs(static_cast<std::size_t>(knobs_.columns));
  std::copy_n(scalars, knobs_.columns - knobs_.scalars, knobs.begin() + knobs_.scalars);
  const Place here = place_of(goal, prepare(data, at, knobs.data()));
  pass(goal, here);
  const Layout& layout = weights_->layout();
  std::vector<float> w(static_cast<std::size_t>(layout.size)), g(w.size());
  read(stream_, w.data(), weights_->column(0), w.size() * sizeof(float));
  read(stream_, g.data(), gradients_.data(), g.size() * sizeof(float));
  double sum = 0;
  for (std::size_t t = 0; t < goal.program.losses.size(); ++t) {
    double loss = 0;
    for (const double value : values(goal, t, here.rows)) loss += value;
    sum += weighted(goal, t, loss, data, at, scalars);
  }
  sum = penalise(goal, by_parameter(goal.recipe, layout, penalties.l1),
                 by_parameter(goal.recipe, layout, penalties.l2), w.data(), g.data(), sum);
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
  copy(stream_, saved_slots_.data(), slots_.column(0), slots);
}

void CudaTraining::restore() {
  const std::size_t weights = static_cast<std::size_t>(weights_->layout().size) * sizeof(float);
  const std::size_t slots = static_cast<std::size_t>(slots_.elements()) * sizeof(float);
  copy(stream_, weights_->column(0), saved_weights_.data(), weights);
  copy(stream_, slots_.column(0), saved_slots_.data(), slots);
}

}  // namespace steep::cuda
