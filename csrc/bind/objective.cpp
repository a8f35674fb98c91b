// Python's view of what a session is made for: losses, and objectives made of them.
#include "bind/objective.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "ops/names.h"

namespace steep::bind {

namespace {

LossTerm term(const std::string& name, int tensor, const std::optional<std::string>& loss,
              double option, int target, int weights, double weight, int scalar, bool by_position,
              std::optional<long> ignored, int judged, int truth) {
  return {name,    tensor, loss ? loss_index(*loss) : -1,
          option,  target, weights,
          weight,  scalar, by_position,
          ignored, judged, truth};
}

Aimed objective(const Recipe& recipe, std::vector<LossTerm> terms, std::vector<bool> moves,
                std::vector<bool> frozen, long every, const std::string& name) {
  return {{name, std::move(terms), std::move(moves), std::move(frozen)}, recipe, every};
}

}  // namespace

std::vector<TargetKind> target_kinds(const Graph& graph, const std::vector<LossTerm>& terms) {
  std::vector<TargetKind> kinds;
  const auto at = [&](int number) -> TargetKind& {
    if (number < 0) refuse("a loss needs an array of targets, got number ", number);
    kinds.resize(std::max(kinds.size(), static_cast<std::size_t>(number) + 1));
    return kinds[number];
  };
  for (const LossTerm& term : terms) {
    const long width = graph.tensor(term.tensor).width;
    if (term.loss < 0) continue;
    at(term.target) = {width,
                       std::max(2L, width),
                       graph.tensor(term.tensor).shape.back(),
                       term.by_position,
                       term.ignored.value_or(kNoLabel),
                       term.weights};
  }
  for (const Op& op : graph.ops()) {
    const auto* input = op.as<ops::Input>();
    if (input != nullptr && input->target) at(input->number) = {graph.tensor(op.out).width, 0};
  }
  return kinds;
}

void bind_objective(py::module_& m) {
  using py::arg;
  py::class_<LossTerm>(m, "LossTerm")
      .def(py::init(&term), arg("name"), arg("tensor"), arg("loss"), arg("option") = 0.0,
           arg("target") = -1, arg("weights") = -1, arg("weight") = 1.0, arg("scalar") = -1,
           arg("by_position") = false, arg("ignored") = py::none(), arg("judged") = -1,
           arg("truth") = -1);
  py::class_<Aimed>(m, "Objective")
      .def(py::init(&objective), arg("recipe"), arg("terms"), arg("moves") = std::vector<bool>{},
           arg("frozen") = std::vector<bool>{}, arg("every") = 1, arg("name") = "");
}

}  // namespace steep::bind
