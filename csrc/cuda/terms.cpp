// The numbers of a batch that the host finds.
#include "cuda/terms.h"

#include "base/dual.h"

namespace steep::cuda {

double divisor(const LossTerm& term, const Recipe& recipe, const Batcher& data, Position at) {
  if (!recipe.mean) return 1;
  if (!recipe.weighted) return static_cast<double>(data.rows(at.batch));
  return data.weight(static_cast<uint64_t>(at.epoch), at.batch, term.weights, term.target);
}

double share(const LossTerm& term, const Recipe& recipe, const Batcher& data, Position at) {
  const Positions* const of = data.data().positions_of(term.weights, term.target);
  if (of == nullptr || !recipe.mean || recipe.weighted) return 1;
  const double count = data.positions(static_cast<uint64_t>(at.epoch), at.batch, *of);
  return count > 0 ? static_cast<double>(data.rows(at.batch)) / count : 1;
}

std::vector<double> factors(const std::vector<LossTerm>& terms, const Recipe& recipe,
                            const Batcher& data, Position at, const double* scalars) {
  std::vector<double> all;
  for (const LossTerm& term : terms) {
    const double by = divisor(term, recipe, data, at);
    all.push_back(by > 0 ? term.weight_at(scalars) / by : 0);
  }
  return all;
}

double penalised(double l2, float w, double along, double product) {
  using portable::Dual;
  if (l2 == 0) return product;
  const Dual at{static_cast<double>(w), along};
  const Dual sum = portable::fma_(Dual(l2), at, Dual(0, product));
  return portable::fma_(Dual(0), portable::sign_(at), sum).d;
}

}  // namespace steep::cuda
