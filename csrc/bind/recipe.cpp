// Python's view of recipes: how parameters are trained, and the slots that this takes.
#include "bind/arrays.h"
#include "plan/methods.h"

namespace steep::bind {

namespace {

Recipe made(const std::vector<std::string>& rules, std::vector<int> groups, uint64_t seed,
            bool mean, bool weighted, bool decay_bias, bool average, bool adaptive,
            std::vector<bool> sparse, int history) {
  Recipe recipe{.rules = {},
                .groups = std::move(groups),
                .seed = seed,
                .mean = mean,
                .weighted = weighted,
                .decay_bias = decay_bias,
                .average = average,
                .adaptive = adaptive,
                .sparse = std::move(sparse),
                .method = nullptr};
  appoint(recipe, rules, history);
  return recipe;
}

py::dict slots(const Recipe& recipe, const std::vector<Shape>& shapes) {
  std::vector<Parameter> parameters;
  for (const Shape& shape : shapes) parameters.push_back({"", shape, true, true});
  check(recipe, parameters.size());
  py::dict out;
  for (const SlotColumn& column : slot_columns(recipe, Layout(parameters, Format::Float32))) {
    py::list each;
    for (const Slice& s : column.layout->slices) {
      s.size > 0 ? each.append(py::cast(s.shape)) : each.append(py::none());
    }
    out[py::str(column.name)] = each;
  }
  return out;
}

}  // namespace

void bind_recipe(py::module_& m) {
  using py::arg;
  py::class_<Recipe>(m, "Recipe")
      .def(py::init(&made), arg("rules"), arg("groups"), arg("seed") = 0, arg("mean") = true,
           arg("weighted") = false, arg("decay_bias") = false, arg("average") = false,
           arg("adaptive") = false, arg("sparse") = std::vector<bool>{}, arg("history") = 0)
      .def("slots", &slots, arg("shapes"));
}

}  // namespace steep::bind
