// Both ways to update, block after block or all gradients before the first weight, and the ends of a run.
// How gradients are clipped together is in clip.cpp.
#include "cpu/update.h"

#include <algorithm>
#include <cmath>

#include "base/prefetch.h"
#include "cpu/threads.h"

namespace steep {

namespace {

constexpr long kCache = 1L << 20;
// Bytes of gradients from which no cache has the first of them when the last is there.
constexpr long kBeyondCaches = 32L << 20;

void meet(int threads) {
  if (threads > 1) pool().meet();
}

}  // namespace

template <class T>
std::vector<Ruled<T>> ruled(const Recipe& recipe, const CpuStore<T>& weights,
                            const std::vector<SlotColumn>& columns, const CpuStore<T>& slots,
                            int first_column) {
  std::vector<Ruled<T>> all;
  for (std::size_t p = 0; p < recipe.groups.size(); ++p) {
    const int group = recipe.groups[p];
    if (group == kNobody) {  // no task will ask
      all.push_back({});
      continue;
    }
    const RuleInfo& info = recipe.rule(group);
    const Slice& slice = weights.layout().slices[p];
    Ruled<T> r{recipe.rules[group],
               &info,
               group,
               recipe.knobs(group),
               info.factored ? 0 : static_cast<int>(info.slots.size()),
               info.sums == 0 && !recipe.is_sparse(group) && !recipe.average,
               slice.decay || recipe.decay_bias,
               recipe.is_sparse(group) && slice.matrix,
               slice.narrow,
               slice.panels().count(),
               slice.offset,
               slice.extent(),
               {},
               nullptr,
               &slice,
               true};
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const int column = first_column + static_cast<int>(c), i = info.slot(columns[c].name);
      T* const first = slots.column(column) + slots.layout(column).slices[p].offset;
      if (i >= 0) {
        r.slots[i] = first;
      } else if (recipe.average && columns[c].name == kAverageSlot) {
        r.average = first;
      }
    }
    r.alone = r.average == nullptr && slice.bound.kind == Bound::Kind::None;
    r.simple = r.simple && r.alone;
    all.push_back(r);
  }
  return all;
}

template <class T>
Update<T>::Update(const Plan<T>& plan, const CpuStore<T>& weights, const CpuStore<T>& slots,
                  const Recipe& recipe, const std::vector<Ruled<T>>& ruled, KnobPlace place,
                  T* gradients, TaskSums* sums, TaskNorms* norms, Directions<T>* directions)
    : plan_(plan), k_(kernels<T>()), ruled_(ruled), adaptive_(recipe.adaptive), place_(place),
      large_(weights.bytes() + slots.bytes() > kCache), size_(weights.layout().size),
      w_(weights.column(0)), gradients_(gradients), sums_(sums), norms_(norms),
      directions_(directions) {
  for (std::size_t g = 0; g < recipe.rules.size(); ++g) {
    looks_ahead_ |= recipe.rule(static_cast<int>(g)).look_ahead;
    two_passes_ |= recipe.rule(static_cast<int>(g)).sums > 0;
  }
  long moved = 0;
  for (const GradTask<T>& task : plan.tasks()) moved += task.size;
  held_ = size_ * static_cast<long>(sizeof(T)) < kCache;
  past_caches_ = moved * static_cast<long>(sizeof(T)) > kBeyondCaches;
  for (const Ruled<T>& r : ruled_) {
    bounds_columns_ |= r.info != nullptr && r.slice->trained && r.slice->bound.by_column();
  }
  if (bounds_columns_ && norms_ != nullptr) bounded_ = std::make_unique<T[]>(size_);
}

template <class T> void Update<T>::Knobs::convert(const Ruled<T>& r) {
  const double* from = row_ + r.knobs + kGroupKnobs;
  for (std::size_t i = 0; i < r.info->knobs.size(); ++i) own_[i] = static_cast<T>(from[i]);
  group_ = r.group;
}

// Calls part(rule, w, v, n) on every block of a look-ahead rule, shared by the threads. Through the pool
// for a single thread, too: denormals are treated as in the steps.
template <class T> template <class F> void Update<T>::each_ahead(F&& part) const {
  constexpr double kFlopsPerMove = 4;  // of one weight to the point or back
  if (!looks_ahead_) return;
  pool().run(threads_for(kFlopsPerMove * static_cast<double>(size_)), [&](int thread, int threads) {
    const Share share = this->share(thread, threads);
    for (std::size_t i = share.first; i < share.last; ++i) {
      const GradTask<T>& task = plan_.tasks()[i];
      const Ruled<T>& r = ruled_[task.parameter];
      if (!r.info->look_ahead) continue;
      part(r, w_ + task.offset, r.slot(r.info->slot("v"), task.offset), task.size);
    }
  });
}

template <class T> void Update<T>::keep_weights() {
  if (looks_ahead_) kept_.assign(w_, w_ + size_);
}

template <class T> void Update<T>::begin(const double* row) const {
  const Knobs knobs = read(row, 0);
  each_ahead([&](const Ruled<T>& r, T* w, T* v, long n) {
    k_.look_ahead(w, v, n, static_cast<T>(knobs.of(r, "look")));
  });
}

// Outside of a run the weights are w, never the look-ahead point.
template <class T> void Update<T>::end(const double* table, long done) const {
  if (looks_ahead_ && done == 0 && !kept_.empty()) {
    std::copy(kept_.begin(), kept_.end(), w_);
    return;
  }
  const Knobs knobs = read(table, std::max(0L, done - 1));
  each_ahead([&](const Ruled<T>& r, T* w, T* v, long n) {
    k_.look_back(w, v, w, n, static_cast<T>(knobs.of(r, done > 0 ? "look_next" : "look")));
    // Of all weights with this point one may be beyond a bound by a rounding; the bound has it, too.
    if (done > 0 && r.slice->bound.by_element()) bound(r, w - w_, n, 0);
  });
}

template <class T> auto Update<T>::share(int thread, int threads) const -> Share {
  const auto& tasks = plan_.tasks();
  long total = 0;
  for (const auto& task : tasks) total += task.size;
  std::size_t first = tasks.size(), last = tasks.size();
  long before = 0;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    // A task belongs to the thread in whose share its middle lies.
    const long owner = (2 * before + tasks[i].size) * threads / (2 * total);
    if (owner >= thread && first == tasks.size()) first = i;
    if (owner > thread) {
      last = i;
      break;
    }
    before += tasks[i].size;
  }
  return {std::min(first, last), last};
}

// Has a group neither penalties nor limits of single elements?
template <class T> bool Update<T>::plain(const Ruled<T>& r, const Knobs& knobs) const {
  return knobs.of(r, kL1) == 0 && knobs.of(r, kL2) == 0 && !(knobs.of(r, kClipValue) < kNoLimit);
}

// Is a block without a gradient the same afterwards, byte by byte?
template <class T> bool Update<T>::stays(const Ruled<T>& r, const Knobs& knobs) const {
  return r.simple && r.info->still && plain(r, knobs) && (!r.decays || knobs.of(r, kDecay) == 0);
}

// Calls kernel(g, w, n, l1, l2, limit) on a block.
template <class T>
template <class Kernel>
auto Update<T>::with_penalties(Kernel kernel, const GradTask<T>& task, T* g,
                               const Knobs& knobs) const {
  const Ruled<T>& r = ruled_[task.parameter];
  return kernel(g, w_ + task.offset, task.size, r.decays ? static_cast<T>(knobs.of(r, kL1)) : T(0),
                r.decays ? static_cast<T>(knobs.of(r, kL2)) : T(0),
                static_cast<T>(knobs.of(r, kClipValue)));
}

template <class T>
double Update<T>::finish(const GradTask<T>& task, T* g, const Knobs& knobs) const {
  return with_penalties(k_.finish_gradient, task, g, knobs);
}

// Called for every block of every step.
template <class T>
[[gnu::always_inline]] inline UpdateArgs<T> Update<T>::arguments(const GradTask<T>& task,
                                                                 const Ruled<T>& r, const T* g,
                                                                 Knobs& knobs, double scale) const {
  UpdateArgs<T> a{};
  a.w = w_ + task.offset;
  a.g = g;
  for (int i = 0; i < r.slots_of_block; ++i) a.slots[i] = r.slot(i, task.offset);
  a.n = task.size;
  a.knobs = knobs.own(r);
  a.scale = static_cast<T>(scale);
  a.decay = r.decays ? static_cast<T>(knobs.of(r, kDecay)) : T(0);
  return a;
}

// An average follows the weights; of look-ahead rules w is found from the point.
template <class T>
void Update<T>::follow(const Ruled<T>& r, long offset, long n, const Knobs& knobs,
                       When when) const {
  if (r.average == nullptr) return;
  const bool before = when == When::Before, ahead = r.info->look_ahead;
  const double rate = before ? knobs.shared(kStart) : knobs.shared(kAverage);
  const bool pull = !before && knobs.shared(kPull) != 0;
  if (rate == 0 && !pull) return;
  k_.average({.average = r.average + (offset - r.offset),
              .w = w_ + offset,
              .v = ahead ? r.slot(r.info->slot("v"), offset) : nullptr,
              .n = n,
              .look = ahead ? static_cast<T>(knobs.of(r, before ? "look" : "look_next")) : T(0),
              .rate = static_cast<T>(before ? 1 : rate),
              .pull = pull});
}

template <class T>
bool Update<T>::step(std::size_t i, const UpdateArgs<T>& a, const Knobs& knobs) const {
  return knobs.recorded ? measured_step(i, a, knobs, true) : move(i, a, knobs);
}

// The rule, bounds of single weights, and the average that follows them while they are in cache.
template <class T>
bool Update<T>::move(std::size_t i, const UpdateArgs<T>& a, const Knobs& knobs) const {
  const GradTask<T>& task = plan_.tasks()[i];
  const Ruled<T>& r = ruled_[task.parameter];
  const auto by_rule = [&] { return r.sparse ? sparse_step(i, a) : k_.update[r.rule](a); };
  if (r.alone) return by_rule();
  follow(r, task.offset, task.size, knobs, When::Before);
  const bool finite = by_rule();
  if (r.slice->bound.by_column()) return finite;  // its columns come later, and then the average
  const auto bring_back = [&] {
    if (!r.slice->bound.by_element()) return;
    bound(r, task.offset, task.size, r.info->look_ahead ? knobs.of(r, "look_next") : 0);
  };
  bring_back();
  follow(r, task.offset, task.size, knobs, When::After);
  if (knobs.shared(kPull) != 0) bring_back();  // an average may begin beyond the bounds
  return finite;
}

// Where the update of a block reads: its weights, slots and average. Returns how many.
template <class T> int Update<T>::blocks(const GradTask<T>& task, T** columns) const {
  const Ruled<T>& r = ruled_[task.parameter];
  const int slots = r.info->factored ? 0 : static_cast<int>(r.info->slots.size());
  int count = 0;
  columns[count++] = w_ + task.offset;
  for (int s = 0; s < slots; ++s) columns[count++] = r.slot(s, task.offset);
  if (r.average != nullptr) columns[count++] = r.average + (task.offset - r.offset);
  return count;
}

// The step of a rule that has one pass; of others, what the second one wants.
template <class T>
bool Update<T>::first_pass(std::size_t i, T* g, Knobs& knobs, double scale) const {
  const GradTask<T>& task = plan_.tasks()[i];
  const Ruled<T>& r = ruled_[task.parameter];
  UpdateArgs<T> a = arguments(task, r, g, knobs, scale);
  if (r.info->sums == 0) return step(i, a, knobs);
  if (r.info->directs()) a.u = g;
  r.info->factored ? measure_factors(i, a) : k_.measure[r.rule](a, sums_[i].terms);
  return true;
}

// The sums over a whole parameter.
template <class T> auto Update<T>::terms(int parameter) const -> Terms {
  Terms terms{};
  for (std::size_t i = plan_.first_task(parameter); i < plan_.first_task(parameter + 1); ++i) {
    for (int t = 0; t < ruled_[parameter].info->sums; ++t) terms[t] += sums_[i].terms[t];
  }
  return terms;
}

// What a rule makes of them.
template <class T> double Update<T>::factor(int parameter, Knobs& knobs, T decay) const {
  const Ruled<T>& r = ruled_[parameter];
  return k_.factor[r.rule](terms(parameter).data(), r.extent, knobs.own(r), decay);
}

// Of rules with sums, once everybody has given his.
template <class T>
bool Update<T>::second_pass(Share share, Knobs& knobs, int thread, int threads) const {
  meet(threads);
  if (directions_ != nullptr) make_directions(share, knobs, thread, threads);
  bool finite = true;
  int parameter = -1;
  double factor = 1;
  for (std::size_t i = share.first; i < share.last; ++i) {
    const GradTask<T>& task = plan_.tasks()[i];
    const Ruled<T>& r = ruled_[task.parameter];
    if (r.info->sums == 0) continue;
    const T* const g = r.info->keeps_gradient ? gradients_ + task.offset : nullptr;
    const bool scaled = g == nullptr || r.info->directs();  // the direction is as it is
    UpdateArgs<T> a = arguments(task, r, g, knobs, scaled ? 1 : sums_[i].scale);
    if (task.parameter != parameter) {
      parameter = task.parameter;
      factor = this->factor(parameter, knobs, a.decay);
    }
    a.factor = static_cast<T>(factor);
    finite &= step(i, a, knobs);
  }
  return finite;
}

template <class T>
bool Update<T>::fused(Share share, long rows, Knobs& knobs, int thread, int threads) const {
  alignas(64) T block[kLargestTask];
  bool finite = true;
  for (std::size_t i = share.first; i < share.last; ++i) {
    const GradTask<T>& task = plan_.tasks()[i];
    const Ruled<T>& r = ruled_[task.parameter];
    T* const kept = r.info->keeps_gradient ? gradients_ + task.offset : nullptr;
    T* const g = kept == nullptr || past_caches_ ? block : kept;
    // Asked for ahead: what the update reads. Where all stays in cache, the weights may still be in
    // another core's.
    T* columns[kMostColumns];
    columns[0] = w_ + task.offset;
    const int asked = large_ ? blocks(task, columns) : threads > 1 ? 1 : 0;
    const bool touched = plan_.gradient(task, rows, g, asked, columns);
    const bool noted = knobs.recorded && notes_gradient(r, knobs);  // by the sweep
    if (knobs.recorded) {
      if (!noted) measured_finish(i, g, knobs, false);
    } else if (!touched && stays(r, knobs)) {
      continue;
    } else if (!plain(r, knobs)) {
      with_penalties(k_.penalise, task, g, knobs);
    }
    if (r.simple) {
      const UpdateArgs<T> a = arguments(task, r, g, knobs, 1);
      finite &= knobs.recorded ? measured_step(i, a, knobs, !noted) : k_.update[r.rule](a);
      continue;
    }
    sums_[i].scale = 1;
    finite &= first_pass(i, g, knobs, 1);
    if (kept != nullptr && g != kept) copy_past_caches(g, kept, task.size);
  }
  if (two_passes_) finite &= second_pass(share, knobs, thread, threads);
  bound_columns(knobs, thread, threads);
  if (knobs.recorded && bounds_columns_) measure_bounded(share, knobs, threads);
  return finite;
}

template <class T>
bool Update<T>::separate(Share share, long rows, bool collected, Knobs& knobs, int thread,
                         int threads, Halt* halt, std::atomic<bool>& halted) const {
  const auto& tasks = plan_.tasks();
  alignas(64) T block[kLargestTask];
  for (std::size_t i = share.first; i < share.last; ++i) {
    if (halt != nullptr && thread == 0) halt->ask();
    if (halt != nullptr && halt->wanted()) break;
    T* const kept = gradients_ + tasks[i].offset;
    T* const g = past_caches_ && !collected ? block : kept;
    // As in fused(), but what else the update reads would be gone by then.
    T* columns[] = {w_ + tasks[i].offset};
    if (!collected) plan_.gradient(tasks[i], rows, g, threads > 1 && held_ ? 1 : 0, columns);
    if (rule_of(i).sparse) sums_[i].rows = moving_rows(tasks[i], g);
    sums_[i].squares =
        knobs.recorded ? measured_finish(i, g, knobs, true) : finish(tasks[i], g, knobs);
    if (g != kept) copy_past_caches(g, kept, tasks[i].size);
  }
  if (halt != nullptr && thread == 0 && halt->wanted()) halted = true;
  const Lengths lengths = norm(share, knobs, threads);
  if (halted) return true;
  if (!std::isfinite(lengths.total)) return false;
  scale(share, knobs, lengths);
  bool finite = true;
  for (std::size_t i = share.first; i < share.last; ++i) {
    if (knobs.recorded) measure_clipped(i, sums_[i].scale);
    finite &= first_pass(i, gradients_ + tasks[i].offset, knobs, sums_[i].scale);
  }
  if (two_passes_) finite &= second_pass(share, knobs, thread, threads);
  bound_columns(knobs, thread, threads);
  if (knobs.recorded && bounds_columns_) measure_bounded(share, knobs, threads);
  return finite;
}

#define STEEP_UPDATE(T)                                                                          \
  template std::vector<Ruled<T>> ruled(const Recipe&, const CpuStore<T>&,                        \
                                       const std::vector<SlotColumn>&, const CpuStore<T>&, int); \
  template Update<T>::Update(const Plan<T>&, const CpuStore<T>&, const CpuStore<T>&,             \
                             const Recipe&, const std::vector<Ruled<T>>&, KnobPlace, T*,         \
                             TaskSums*, TaskNorms*, Directions<T>*);                             \
  template void Update<T>::keep_weights();                                                       \
  template bool Update<T>::plain(const Ruled<T>&, const Knobs&) const;                           \
  template double Update<T>::finish(const GradTask<T>&, T*, const Knobs&) const;                 \
  template void Update<T>::begin(const double*) const;                                           \
  template void Update<T>::end(const double*, long) const;                                       \
  template auto Update<T>::share(int, int) const -> Share;                                       \
  template UpdateArgs<T> Update<T>::arguments(const GradTask<T>&, const Ruled<T>&, const T*,     \
                                              Knobs&, double) const;                             \
  template void Update<T>::follow(const Ruled<T>&, long, long, const Knobs&, When) const;        \
  template bool Update<T>::move(std::size_t, const UpdateArgs<T>&, const Knobs&) const;          \
  template auto Update<T>::terms(int) const -> Terms;                                            \
  template bool Update<T>::fused(Share, long, Knobs&, int, int) const;                           \
  template bool Update<T>::separate(Share, long, bool, Knobs&, int, int, Halt*,                  \
                                    std::atomic<bool>&) const;
STEEP_UPDATE(float)
STEEP_UPDATE(double)
#undef STEEP_UPDATE

}  // namespace steep
