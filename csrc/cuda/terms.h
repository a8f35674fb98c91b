// What a batch has for each loss: what its sum is divided by, and the factors of gradients that follow from it.
#pragma once
#include <vector>

#include "executor.h"

namespace steep::cuda {

// What the sum of a loss over a batch is divided by; 0 where no sample weighs anything.
double divisor(const LossTerm& term, const Recipe& recipe, const Batcher& data, Position at);

// What the sum over a sample's positions is multiplied by to make its loss.
double share(const LossTerm& term, const Recipe& recipe, const Batcher& data, Position at);

// The factor of each loss of a sample in the gradient, for the step's scalars: in full, for dual numbers.
std::vector<double> factors(const std::vector<LossTerm>& terms, const Recipe& recipe,
                            const Batcher& data, Position at, const double* scalars);

// What a penalty adds to an element of a product, as the CPU adds it to a gradient in dual numbers; w is the
// weight there.
double penalised(double l2, float w, double along, double product);

}  // namespace steep::cuda
