// Which matrices are made orthogonal, and the stage of a step that does it.
#include "cpu/directions.h"

#include <cmath>
#include <limits>

#include "cpu/update.h"

namespace steep {

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

template class Directions<float>;
template class Directions<double>;
template void Update<float>::make_orthogonal(const Knobs&, int, int) const;
template void Update<double>::make_orthogonal(const Knobs&, int, int) const;

}  // namespace steep
