// Prepares steps, looks for faults, takes gradients by themselves.
#include "cpu/training.h"

#include <algorithm>
#include <atomic>

#include "cpu/objective.h"
#include "cpu/threads.h"

namespace steep {

namespace {

std::vector<Recipe> recipes_of(const std::vector<Aim>& aims) {
  std::vector<Recipe> all;
  for (const Aim& aim : aims) all.push_back(aim.recipe);
  return all;
}

std::vector<std::shared_ptr<const Layout>> layouts(const std::vector<Recipe>& recipes,
                                                   const Layout& weights) {
  std::vector<std::shared_ptr<const Layout>> all;
  for (const Recipe& recipe : recipes) {
    for (const SlotColumn& column : slot_columns(recipe, weights)) all.push_back(column.layout);
  }
  return all;
}

}  // namespace

template <class T>
CpuTraining<T>::CpuTraining(std::vector<Aim> aims, int scalars,
                            std::shared_ptr<CpuStore<T>> weights)
    : CpuTraining(aims, scalars, std::move(weights), recipes_of(aims)) {}

template <class T>
CpuTraining<T>::CpuTraining(std::vector<Aim> aims, int scalars,
                            std::shared_ptr<CpuStore<T>> weights,
                            const std::vector<Recipe>& recipes)
    : weights_(std::move(weights)), k_(kernels<T>()), row_(recipes, scalars),
      slots_(weights_->shared_layout(), layouts(recipes, weights_->layout())) {
  if (aims.size() > kMostObjectives) {
    refuse("a training has at most ", kMostObjectives, " objectives, got ", aims.size());
  }
  const auto directs = [](int rule) { return rule_infos()[rule].directs(); };
  int first = 0;  // column of slots
  for (std::size_t i = 0; i < aims.size(); ++i) {
    goals_.push_back({std::move(aims[i]), row_.first[i], terms_});
    Goal<T>& goal = goals_.back();
    const Recipe& recipe = goal.recipe;
    const std::vector<SlotColumn> columns = slot_columns(recipe, weights_->layout());
    terms_ += goal.program.losses.size();
    if (!recipe.method) goal.ruled = ruled(recipe, *weights_, columns, slots_, first);
    first += static_cast<int>(columns.size());
    if (std::any_of(recipe.rules.begin(), recipe.rules.end(), directs)) {
      keep_gradients();
      goal.directions = std::make_unique<Directions<T>>(recipe, *gradients_);
    }
  }
  share();
}

// The first objective is due in every step. Its forward pass is that of later ones as far as they are of the
// same weights, those that nobody has moved until then.
template <class T> void CpuTraining<T>::share() {
  const Goal<T>& first = goals_[0];
  std::vector<bool> moved = first.program.trains;
  for (std::size_t i = 1; first.every == 1 && i < goals_.size(); ++i) {
    Goal<T>& goal = goals_[i];
    if (goal.recipe.seed == first.recipe.seed)
      goal.shared = shared_pass(first.program, goal.program, moved);
    for (std::size_t p = 0; p < moved.size(); ++p) moved[p] = moved[p] || goal.program.trains[p];
  }
}

template <class T>
auto CpuTraining<T>::kept_places(long rows) const
    -> std::pair<std::vector<std::vector<long>>, long> {
  std::vector<std::vector<long>> places(goals_.size());
  const Program& first = goals_[0].program;
  long bytes = 0;
  for (std::size_t i = 1; i < goals_.size(); ++i) {
    const Shared& shared = goals_[i].shared;
    if (!shared.any()) continue;
    places[0].resize(first.tensors.size(), -1);
    places[i].resize(shared.kept.size(), -1);
    for (std::size_t x = 0; x < shared.kept.size(); ++x) {
      if (shared.kept[x] < 0) continue;
      long& place = places[0][shared.kept[x]];
      if (place < 0) {
        const Tensor& of = first.tensors[shared.kept[x]];
        const long each = of.samples == kAllSamples ? 1 : ceil_div(rows, of.samples);
        place = bytes;
        bytes += ceil_div(each * spread(of.width) * static_cast<long>(sizeof(T)), 64) * 64;
      }
      places[i][x] = place;
    }
  }
  return {std::move(places), bytes};
}

template <class T> long CpuTraining<T>::bytes() const {
  long bytes = slots_.bytes() + (gradients_ ? gradients_->bytes() : 0) +
               (kept_weights_ ? kept_weights_->bytes() : 0);
  for (const Goal<T>& goal : goals_) bytes += goal.directions ? goal.directions->bytes() : 0;
  return bytes;
}

// Plans that run one after the other have one Arena.
template <class T> long CpuTraining<T>::plan_bytes() const {
  long bytes = 0;
  for (const Goal<T>& goal : goals_) {
    if (goal.plan) bytes = std::max(bytes, goal.plan->arena_bytes());
  }
  return bytes + (handed_on_ ? static_cast<long>(handed_on_->bytes()) : 0);
}

template <class T> long CpuTraining<T>::plan_bytes(long rows) const {
  const auto [places, handed_on] = kept_places(rows);
  const long kept =
      handed_on > 0 ? static_cast<long>(Block::rounded(static_cast<std::size_t>(handed_on))) : 0;
  return arena_bytes(rows, places) + kept;
}

template <class T>
long CpuTraining<T>::arena_bytes(long rows, const std::vector<std::vector<long>>& places) const {
  long bytes = 0;
  for (std::size_t i = 0; i < goals_.size(); ++i) {
    bytes = std::max(
        bytes, Plan<T>::bytes(goals_[i].program, k_, weights_, rows, pool().threads(), places[i]));
  }
  return bytes;
}

// The plans there are stay until the larger ones exist.
template <class T> void CpuTraining<T>::reserve(long rows) {
  if (goals_[0].plan && goals_[0].plan->capacity() >= rows) return;
  const auto [places, bytes] = kept_places(rows);
  std::shared_ptr<Block> arena, handed_on;
  if (goals_.size() > 1)
    arena = std::make_shared<Block>(static_cast<std::size_t>(arena_bytes(rows, places)));
  if (bytes > 0) handed_on = std::make_shared<Block>(static_cast<std::size_t>(bytes));
  std::vector<std::unique_ptr<Plan<T>>> larger;
  for (std::size_t i = 0; i < goals_.size(); ++i) {
    const Goal<T>& goal = goals_[i];
    larger.push_back(std::make_unique<Plan<T>>(goal.program, k_, weights_, rows, arena,
                                               Kept{places[i], goal.shared.found, handed_on}));
  }
  handed_on_ = std::move(handed_on);
  for (std::size_t i = 0; i < goals_.size(); ++i) {
    Goal<T>& goal = goals_[i];
    goal.update.reset();
    goal.sums.resize(larger[i]->tasks().size());
    goal.plan = std::move(larger[i]);
    goal.kept_statistics.resize(goal.plan->statistics());
  }
}

template <class T> template <class F> void CpuTraining<T>::each_part(Step<T> step, F&& f) const {
  const long rows = step.rows, part = step.batcher->at_once(rows);
  for (step.first = 0; step.first < rows; step.first += part) {
    step.rows = std::min(part, rows - step.first);
    if (!f(step)) return;
  }
}

template <class T> bool CpuTraining<T>::climbs(const Stretch& stretch) const {
  return std::any_of(goals_.begin(), goals_.end(), [&](const Goal<T>& goal) {
    return steep::climbs(stretch.knobs + goal.knobs, stretch.count, row_.columns);
  });
}

template <class T> std::vector<Watched> CpuTraining<T>::watched() const {
  if (goals_.size() > 1) refuse("steps of several objectives are not recorded");
  return steep::watched(goals_[0].program);
}

// Room for what recorded steps measure.
template <class T> void CpuTraining<T>::prepare_records(int threads) {
  Goal<T>& goal = goals_[0];
  goal.norms.resize(goal.plan->tasks().size());
  goal.plan->watch(threads);
}

template <class T> void CpuTraining<T>::keep_gradients() {
  if (!gradients_) gradients_ = std::make_unique<CpuStore<T>>(weights_->shared_layout(), 1);
}

template <class T> Update<T>& CpuTraining<T>::begin_update(Goal<T>& goal) {
  T* const gradients = gradients_ ? gradients_->column(0) : nullptr;
  return goal.update.emplace(*goal.plan, *weights_, slots_, goal.recipe, goal.ruled,
                             KnobPlace{goal.knobs, row_.columns}, gradients, goal.sums.data(),
                             goal.norms.data(), goal.directions.get());
}

template <class T>
Step<T> CpuTraining<T>::at(const Goal<T>& goal, const Batcher& data, Position at,
                           const double* scalars) const {
  Step<T> step;
  step.batcher = &data;
  step.epoch = static_cast<uint64_t>(at.epoch);
  step.batch = at.batch;
  step.step = static_cast<uint64_t>(at.step);
  step.seed = goal.recipe.seed;
  step.rows = data.rows(at.batch);
  step.scalars = scalars;
  step.order = goal.plan->order();
  set_factors(goal.program.losses, goal.recipe, data, at, step);
  return step;
}

// How many a step on so many rows is worth; the plans are ready for them.
template <class T> int CpuTraining<T>::threads_for_rows(long rows) {
  constexpr double kFlopsPerUpdate = 20;  // of one parameter, with its root and its division
  const double size = static_cast<double>(weights_->layout().size);
  const double n = static_cast<double>(rows);
  double flops = 0;
  for (const Goal<T>& goal : goals_) {
    flops += goal.plan->cost_per_row() * n + size * (2.0 * n + kFlopsPerUpdate) +
             (goal.directions ? goal.directions->flops() : 0);
  }
  const int wanted = threads_for(flops);
  for (const Goal<T>& goal : goals_) goal.plan->reserve_threads(wanted);
  return wanted;
}

template <class T>
int CpuTraining<T>::bad_loss_at(const Batcher& data, Position at, const double* knobs) {
  std::atomic<bool> finite{true};
  for (std::size_t i = 0; i < goals_.size(); ++i) {
    const Goal<T>& goal = goals_[i];
    if (!goal.due(at.step)) continue;
    each_part(this->at(goal, data, at, scalars_of(knobs)), [&](const Step<T>& step) {
      pool().run(threads_for_rows(step.rows), [&](int thread, int threads) {
        if (!goal.plan->run(step, thread, threads)) finite = false;
      });
      return finite.load();
    });
    if (!finite) return static_cast<int>(i);
  }
  return kFinite;
}

template <class T>
Origin CpuTraining<T>::first_fault(const Batcher& data, Position at, const double* knobs,
                                   int objective) {
  if (const auto weight = faulty_weight()) return {*weight, "weight", "forward"};
  const Goal<T>& goal = goals_[objective];
  std::optional<Origin> fault;
  each_part(this->at(goal, data, at, scalars_of(knobs)), [&](const Step<T>& step) {
    fault = goal.plan->first_fault(step);
    return !fault && goal.plan->run(step, 0, 1);
  });
  return fault.value_or(Origin{"loss", "loss", "forward"});
}

template <class T>
Origin CpuTraining<T>::faulty_gradient(const Batcher& data, Position at, const double* knobs,
                                       int objective) {
  Goal<T>& goal = goals_[objective];
  Update<T>& update = begin_update(goal);
  update.keep_weights();
  update.begin(knobs);
  Origin found{"update of the weights: too large for the number format", "update", "update"};
  each_part(this->at(goal, data, at, scalars_of(knobs)), [&](const Step<T>& step) {
    goal.plan->run(step, 0, 1);
    for (const GradTask<T>& task : goal.plan->tasks()) {
      alignas(64) T g[kLargestTask];
      goal.plan->gradient(task, step.rows, g);
      if (k_.all_finite(g, task.size)) continue;
      found = {weights_->layout().slices[task.parameter].name, "gradient", "backward"};
      if (const auto first = goal.plan->first_fault(step)) found.made_by(*first);
      return false;
    }
    return true;
  });
  update.end(knobs, 0);
  return found;
}

template <class T> std::optional<std::string> CpuTraining<T>::faulty_weight() {
  for (const Slice& s : weights_->layout().slices) {
    if (!k_.all_finite(weights_->column(0) + s.offset, s.size)) return s.name;
  }
  return std::nullopt;
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
double CpuTraining<T>::gradients(const Batcher& data, long number, int objective,
                                 const double* scalars, const Penalties& penalties,
                                 const std::vector<void*>& outs, Halt& halt) {
  const Goal<T>& goal = goals_[objective];
  Step<T> step = at(goal, data, {0, 0, number}, scalars);
  step.halt = &halt;
  keep_gradients();
  const Layout& layout = weights_->layout();
  const double value =
      steep::objective(*goal.plan, *weights_, step,
                       {divisors(goal.program.losses, goal.recipe, data, {0, 0, number}),
                        by_parameter(goal.recipe, layout, penalties.l1),
                        by_parameter(goal.recipe, layout, penalties.l2)},
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
