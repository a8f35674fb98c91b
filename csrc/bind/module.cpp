// The module `_core`: which parts of the core Python sees.
#include "backend/cpu/dispatch.h"
#include "backend/cpu/pool.h"
#include "backend/cuda.h"
#include "bind/arrays.h"
#include "graph/names.h"
#include "plan/rules.h"

namespace py = pybind11;

namespace {

py::dict info() {
  py::dict out;
  out["version"] = STEEP_VERSION;
  out["isa"] = steep::kernels<float>().isa;
  out["isas"] = steep::usable_isas();
  out["threads"] = steep::pool().threads();
  out["cpus"] = steep::usable_cpus();
  out["cuda"] = steep::cuda_status();
  return out;
}

py::dict rules() {
  py::dict out;
  for (const steep::RuleInfo& rule : steep::rule_infos()) {
    py::dict row;
    row["slots"] = rule.slots;
    row["knobs"] = rule.knobs;
    row["look_ahead"] = rule.look_ahead;
    out[py::str(rule.name)] = row;
  }
  return out;
}

}  // namespace

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
  m.doc() = "The native core of steep: graphs, plans, kernels and threads.";
  m.attr("__version__") = STEEP_VERSION;
  py::list common;
  for (const char* name : steep::kCommonKnobNames) common.append(name);
  m.attr("COMMON_KNOBS") = common;
  m.def("info", &info);
  m.def("set_num_threads", [](int n) { steep::pool().set_threads(n); }, py::arg("n"));
  m.def("get_num_threads", [] { return steep::pool().threads(); });
  m.def("activations", &steep::activation_names);
  m.def("losses", &steep::loss_names);
  m.def("rules", &rules);
  steep::bind::bind_kernels(m);
  steep::bind::bind_convolution(m);
  steep::bind::bind_graph(m);
  steep::bind::bind_network(m);
}
