// Which matrices are made orthogonal, which ones are factored, and the stage of a step between two passes.
#include "cpu/directions.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/threads.h"
#include "cpu/update.h"

namespace steep {

template <class T>
Factored<T>::Factored(int parameter, const Slice& slice)
    : parameter(parameter), rows(slice.rows), columns(slice.columns),
      across(slice.matrix ? kPanel : kBlockColumns), turned(slice.narrow),
      by_row(static_cast<std::size_t>(panels() * rows)),
      by_column(static_cast<std::size_t>(ceil_div(rows, kBlockRows) * width())),
      row(static_cast<std::size_t>(rows)), column(static_cast<std::size_t>(width())) {}

template <class T>
Directions<T>::Directions(const Recipe& recipe, const CpuStore<T>& directions) {
  const std::vector<Slice>& slices = directions.layout().slices;
  for (int group = 0; group < static_cast<int>(recipe.rules.size()); ++group) {
    if (!recipe.rule(group).orthogonal) continue;
    std::vector<int> parameters;
    std::vector<T*> matrices;
    std::vector<Panels> panels;
    for (std::size_t p = 0; p < slices.size(); ++p) {
      if (recipe.groups[p] != group || !slices[p].trained) continue;
      parameters.push_back(static_cast<int>(p));
      matrices.push_back(directions.column(0) + slices[p].offset);
      panels.push_back(slices[p].panels());
    }
    if (parameters.empty()) continue;
    std::vector<double> squares(parameters.size());
    orthogonal_.emplace_back(new Orthogonal<T>{group, std::move(parameters), std::move(matrices),
                                               std::move(squares), NewtonSchulz<T>(panels)});
  }
  for (std::size_t p = 0; p < slices.size(); ++p) {
    places_.push_back(factored_.size());
    const int group = recipe.groups[p];
    if (group == kNobody || !recipe.rule(group).factored || !slices[p].trained) continue;
    factored_.emplace_back(static_cast<int>(p), slices[p]);
  }
}

template <class T> double Directions<T>::flops() const {
  constexpr int kUsualSteps = 5;
  double sum = 0;
  for (const auto& group : orthogonal_) sum += group->native.flops(kUsualSteps);
  return sum;
}

template <class T> long Directions<T>::bytes() const {
  long sum = 0;
  for (const auto& group : orthogonal_) sum += static_cast<long>(group->native.bytes());
  for (const Factored<T>& f : factored_) {
    sum += static_cast<long>((f.by_row.size() + f.by_column.size()) * sizeof(double) +
                             (f.row.size() + f.column.size()) * sizeof(T));
  }
  return sum;
}

// All threads; they meet before the directions are read and after all is written.
template <class T>
void Update<T>::make_orthogonal(const Knobs& knobs, int thread, int threads) const {
  for (const auto& group : directions_->orthogonal()) {
    const Ruled<T>& r = ruled_[group->parameters[0]];
    if (thread == 0) {
      const double least = knobs.of(r, "least_length");
      for (std::size_t i = 0; i < group->parameters.size(); ++i) {
        const double sum = terms(group->parameters[i])[0];
        // A direction whose length is beyond all numbers is none: the step is refused.
        group->squares[i] = std::isfinite(sum) ? std::max(sum, least * least)
                                               : std::numeric_limits<double>::quiet_NaN();
      }
    }
    group->native.run(group->matrices.data(), group->squares.data(),
                      {knobs.of(r, "a"), knobs.of(r, "b"), knobs.of(r, "c"),
                       static_cast<int>(knobs.of(r, "ns_steps")), knobs.of(r, "eps")},
                      thread, threads);
  }
}

template <class T>
void Update<T>::measure_factors(std::size_t i, const UpdateArgs<T>& a) const {
  const GradTask<T>& task = plan_.tasks()[i];
  Factored<T>& f = directions_->factored(task.parameter);
  const long k = static_cast<long>(i - plan_.first_task(task.parameter));
  const long block = k / f.panels(), panel = k % f.panels();
  k_.block_squares(a, task.columns, &f.by_row[panel * f.rows + block * kBlockRows],
                   &f.by_column[block * f.width() + panel * f.across], sums_[i].terms);
}

// The slots of a matrix, from the sums of its blocks, and factors whose products are its mean squares.
template <class T> void Update<T>::combine_factors(Factored<T>& f, const Knobs& knobs) const {
  const Ruled<T>& r = ruled_[f.parameter];
  const double beta2 = knobs.of(r, "beta2"), fresh = knobs.of(r, "one_minus_beta2");
  const double eps = knobs.of(r, "eps_in");
  const auto follow = [&](const std::vector<double>& sums, long count, long apart, long over,
                          T* slot, std::vector<T>& to) {
    for (long i = 0; i < count; ++i) {
      double sum = 0;
      for (std::size_t at = i; at < sums.size(); at += apart) sum += sums[at];
      slot[i] = static_cast<T>(beta2 * slot[i] + fresh * (sum / static_cast<double>(over)));
      to[i] = static_cast<T>(slot[i] + eps);
    }
  };
  follow(f.by_row, f.rows, f.rows, f.columns, r.slots[f.turned ? 1 : 0], f.row);
  follow(f.by_column, f.columns, f.width(), f.rows, r.slots[f.turned ? 0 : 1], f.column);
  std::vector<T>& factors = f.turned ? f.column : f.row;  // those of r
  const long count = f.turned ? f.columns : f.rows;
  double sum = 0;
  for (long i = 0; i < count; ++i) sum += factors[i];
  const double mean = sum / static_cast<double>(count), least = knobs.of(r, "least_mean");
  const double over = mean < least ? least : mean;
  for (long i = 0; i < count; ++i) factors[i] = static_cast<T>(over == 0 ? 0 : factors[i] / over);
}

template <class T>
void Update<T>::make_directions(Share share, Knobs& knobs, int thread, int threads) const {
  const auto meet = [threads] {
    if (threads > 1) pool().meet();
  };
  make_orthogonal(knobs, thread, threads);
  if (directions_->factored().empty()) return;
  for (Factored<T>& f : directions_->factored()) {
    const std::size_t first = plan_.first_task(f.parameter);
    if (share.first <= first && first < share.last) combine_factors(f, knobs);
  }
  meet();
  for (std::size_t i = share.first; i < share.last; ++i) {
    const GradTask<T>& task = plan_.tasks()[i];
    if (!ruled_[task.parameter].info->factored) continue;
    const Factored<T>& f = directions_->factored(task.parameter);
    const long k = static_cast<long>(i - plan_.first_task(task.parameter));
    UpdateArgs<T> a =
        arguments(task, ruled_[task.parameter], gradients_ + task.offset, knobs, sums_[i].scale);
    a.u = gradients_ + task.offset;
    k_.block_direction(a, task.columns, &f.row[k / f.panels() * kBlockRows],
                       &f.column[k % f.panels() * f.across], sums_[i].terms);
  }
  meet();
}

template class Directions<float>;
template class Directions<double>;
#define STEEP_DIRECTIONS(T)                                                          \
  template struct Factored<T>;                                                       \
  template void Update<T>::measure_factors(std::size_t, const UpdateArgs<T>&) const; \
  template void Update<T>::make_directions(Share, Knobs&, int, int) const;
STEEP_DIRECTIONS(float)
STEEP_DIRECTIONS(double)
#undef STEEP_DIRECTIONS

}  // namespace steep
