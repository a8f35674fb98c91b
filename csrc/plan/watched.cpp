// Finds the ops with an activation, and where an output of theirs counts as saturated.
#include "plan/watched.h"

#include <map>
#include <utility>

#include "ops/list.h"
#include "ops/names.h"

namespace steep {

namespace {

// The values at and beyond which an output counts as saturated; where there are none, nothing is.
std::pair<double, double> saturates(const std::string& activation) {
  static const auto& table =
      *new std::map<std::string, std::pair<double, double>>{{"tanh", {-0.99, 0.99}},
                                                            {"softsign", {-0.99, 0.99}},
                                                            {"sigmoid", {0.01, 0.99}},
                                                            {"hard_tanh", {-1, 1}},
                                                            {"hard_sigmoid", {0, 1}}};
  const auto found = table.find(activation);
  return found == table.end() ? std::pair{0.0, 0.0} : found->second;
}

}  // namespace

std::vector<Watched> watched(const Program& program) {
  static const int linear = activation_index("linear");
  std::vector<Watched> all;
  for (std::size_t i = 0; i < program.backward; ++i) {
    Op op = program.ops[i];
    const Fused* f = op.as<ops::Activation>();
    if (f == nullptr) f = fused(op);
    if (f == nullptr || !f->any() || f->activation == linear) continue;
    const Tensor& out = program.tensors[op.out];
    if (out.shape.empty() || crosses_samples(op)) continue;  // a step on the way
    const std::string name = activation_names()[f->activation];
    const auto [low, high] = saturates(name);
    all.push_back({op.layer, name, op.out, out.width, out.shape.back(), low, high});
  }
  return all;
}

}  // namespace steep
