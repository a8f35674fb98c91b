// Runs a batch forward and backward and adds the gradients of all blocks up.
#include "cpu/objective.h"

#include <cmath>
#include <limits>

#include "base/dual.h"
#include "cpu/threads.h"
#include "plan/rules.h"

namespace steep {

using portable::plain;

double divisor(const LossTerm& term, const Recipe& recipe, const Batcher& data, Position at) {
  if (!recipe.mean) return 1;
  if (!recipe.weighted) return static_cast<double>(data.rows(at.batch));
  return data.weight(static_cast<uint64_t>(at.epoch), at.batch, term.weights, term.target);
}

std::vector<double> divisors(const std::vector<LossTerm>& terms, const Recipe& recipe,
                             const Batcher& data, Position at) {
  std::vector<double> all;
  for (const LossTerm& term : terms) all.push_back(divisor(term, recipe, data, at));
  return all;
}

double share(const LossTerm& term, const Recipe& recipe, const Batcher& data, Position at) {
  const Positions* const of = data.data().positions_of(term.weights, term.target);
  if (of == nullptr || !recipe.mean || recipe.weighted) return 1;
  const double count = data.positions(static_cast<uint64_t>(at.epoch), at.batch, *of);
  return count > 0 ? static_cast<double>(data.rows(at.batch)) / count : 1;
}

template <class T>
double objective(const Plan<T>& plan, const CpuStore<T>& weights, const Step<T>& step,
                 const Terms& terms, T* g, int threads) {
  const auto& tasks = plan.tasks();
  T* const w = weights.column(0);
  Halt* const halt = step.halt;
  pool().run(threads, [&](int thread, int members) {
    plan.run(step, thread, members);
    if (members > 1) pool().meet();
    for (std::size_t i = thread; i < tasks.size(); i += members) {
      if (halt != nullptr && thread == 0) halt->ask();
      if (halt != nullptr && halt->wanted()) return;
      const GradTask<T>& task = tasks[i];
      plan.gradient(task, step.rows, g + task.offset);
      kernels<T>().penalise(g + task.offset, w + task.offset, task.size,
                            static_cast<T>(terms.l1[task.parameter]),
                            static_cast<T>(terms.l2[task.parameter]), static_cast<T>(kNoLimit));
    }
  });
  if (halt != nullptr && halt->wanted()) return std::numeric_limits<double>::quiet_NaN();
  return value(plan, weights, step, terms);
}

template <class T>
double value(const Plan<T>& plan, const CpuStore<T>& weights, const Step<T>& step,
             const Terms& terms) {
  const T* const w = weights.column(0);
  double sum = 0;
  for (std::size_t t = 0; t < plan.losses().size(); ++t) {
    const double* const values = plan.values(t);
    double loss = 0;
    for (long r = 0; r < step.rows; ++r) loss += values[r];
    if (terms.divisors[t] > 0) loss /= terms.divisors[t];
    sum += plan.losses()[t].weight_at(step.scalars) * loss;
  }
  for (const GradTask<T>& task : plan.tasks()) {
    const double l1 = terms.l1[task.parameter], l2 = terms.l2[task.parameter];
    if (l1 == 0 && l2 == 0) continue;
    for (long i = task.offset; i < task.offset + task.size; ++i) {
      const double x = plain(w[i]);
      sum += 0.5 * l2 * x * x + l1 * std::abs(x);
    }
  }
  return sum;
}

#define STEEP_OBJECTIVE(T)                                                                        \
  template double objective(const Plan<T>&, const CpuStore<T>&, const Step<T>&, const Terms&, T*, \
                            int);                                                                 \
  template double value(const Plan<T>&, const CpuStore<T>&, const Step<T>&, const Terms&);
STEEP_OBJECTIVE(float)
STEEP_OBJECTIVE(double)
STEEP_OBJECTIVE(portable::Dual)
#undef STEEP_OBJECTIVE

}  // namespace steep
