// The module `_core`: which parts of the core Python sees.
#include "bind/arrays.h"
#include "bind/gil.h"
#include "cpu.h"
#include "executor.h"
#include "ops/names.h"
#include "plan/methods.h"

namespace py = pybind11;

namespace {

py::dict info() {
  using py::arg;
  const std::vector<std::string> isas = steep::cpu::isas();
  const std::string why = steep::cuda::status();
  return py::dict(arg("version") = STEEP_VERSION, arg("isa") = isas.back(), arg("isas") = isas,
                  arg("threads") = steep::cpu::threads(), arg("cpus") = steep::cpu::usable_cpus(),
                  arg("cuda") = why.empty() ? steep::cuda::describe() : why);
}

py::dict rules() {
  py::dict out;
  for (const steep::RuleInfo& rule : steep::rule_infos()) {
    out[py::str(rule.name)] =
        py::dict(py::arg("slots") = rule.slots, py::arg("knobs") = rule.knobs,
                 py::arg("look_ahead") = rule.look_ahead, py::arg("passes") = rule.sums > 0 ? 2 : 1,
                 py::arg("keeps_gradient") = rule.keeps_gradient,
                 py::arg("orthogonal") = rule.orthogonal, py::arg("factored") = rule.factored);
  }
  return out;
}

py::dict methods() {
  py::dict out;
  for (const steep::MethodInfo& method : steep::method_infos()) {
    out[py::str(method.name)] =
        py::dict(py::arg("slots") = method.slots, py::arg("knobs") = method.knobs);
  }
  return out;
}

template <class Names> py::list listed(const Names& names) {
  py::list out;
  for (const char* name : names) out.append(name);
  return out;
}

// Threads, NumPy and the types of pybind11 belong to the whole process.
bool in_subinterpreter() {
  if (PyInterpreterState_Get() == PyInterpreterState_Main()) return false;
  PyErr_SetString(PyExc_ImportError,
                  "steep cannot be imported in a subinterpreter; import it in the main interpreter "
                  "of a process (mod_wsgi: WSGIApplicationGroup %{GLOBAL})");
  return true;
}

}  // namespace

// pybind11 takes the GIL before it looks at the interpreter, which in a subinterpreter of Python 3.11
// waits for ever. So its entry gets another name, and ours looks first.
#define PyInit__core entry_of_pybind11
PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
  if (in_subinterpreter()) throw py::error_already_set();  // Python 3.13 calls the entry elsewhere
  // What the environment asks for in vain is refused now, not in the middle of a training.
  steep::cpu::threads();
  steep::cpu::isas();
  m.doc() = "The native core of steep: graphs, plans, kernels and threads.";
  m.attr("__version__") = STEEP_VERSION;
  m.attr("SHARED_KNOBS") = listed(steep::kSharedKnobNames);
  m.attr("GROUP_KNOBS") = listed(steep::kGroupKnobNames);
  m.attr("MAX_THREADS") = steep::cpu::kMaxThreads;
  m.def("info", &info);
  m.def("cuda_status", &steep::cuda::status);
  m.def("cuda_lacks", &steep::cuda::lacks);
  m.def("set_num_threads", &steep::cpu::set_threads, py::arg("n"));
  m.def("limit_threads", &steep::cpu::limit_threads, py::arg("n"));
  m.def("get_num_threads", &steep::cpu::threads);
  m.def("quota_cpus", &steep::cpu::quota_cpus, py::arg("root"));
  m.def("count_positions", &steep::bind::count_positions, py::arg("labels"), py::arg("classes"),
        py::arg("ignored") = py::none());
  m.def("activations", &steep::activation_names);
  m.def("losses", &steep::loss_names);
  m.def("rules", &rules);
  m.def("methods", &methods);
  steep::bind::bind_kernels(m);
  steep::bind::bind_convolution(m);
  steep::bind::bind_device_array(m);
  steep::bind::bind_skip_gram(m);
  steep::bind::bind_graph(m);
  steep::bind::bind_network(m);
  steep::bind::bind_recipe(m);
  steep::bind::bind_objective(m);
  steep::bind::bind_session(m);
  steep::bind::close_at_exit();
}

#undef PyInit__core

extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
  return in_subinterpreter() ? nullptr : entry_of_pybind11();
}
