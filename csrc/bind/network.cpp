// Python's names of what a network can do.
#include "bind/network.h"

namespace steep::bind {

void bind_network(py::module_& m) {
  using py::arg;
  py::class_<PyNetwork::Form>(py::handle(), "NetworkForm");  // opaque, and made by no user
  py::class_<PyNetwork, std::shared_ptr<PyNetwork>>(m, "Network")
      .def(py::init<std::shared_ptr<Graph>, const std::string&, const std::string&>(), arg("graph"),
           arg("precision") = "float32", arg("device") = "cpu")
      .def_property_readonly("precision", &PyNetwork::precision)
      .def_property_readonly("outputs", [](const PyNetwork& n) { return n.graph().outputs(); })
      .def_property_readonly("device", &PyNetwork::device)
      .def("parameters", &PyNetwork::parameters)
      .def(
          "trained",
          [](const PyNetwork& n, const std::string& name) {
            return n.graph().parameters()[parameter_index(n.graph(), name)].trained;
          },
          arg("name"))
      .def("get", &PyNetwork::value, arg("name"))
      .def("values", &PyNetwork::values)
      .def("values_on_device", &PyNetwork::values_on_device)
      .def("set", &PyNetwork::set_value, arg("name"), arg("value"))
      .def("assign", &PyNetwork::assign, arg("values"))
      .def(
          "view",
          [](std::shared_ptr<PyNetwork> whole, std::shared_ptr<Graph> graph,
             const std::vector<std::string>& names) {
            return std::make_shared<PyNetwork>(std::move(graph), std::move(whole), names);
          },
          arg("graph"), arg("names"))
      .def("convert", &PyNetwork::convert, arg("precision"), arg("device") = "cpu")
      .def("form", &PyNetwork::form)
      .def("restore", &PyNetwork::restore, arg("form"))
      .def("predict", &PyNetwork::predict, arg("inputs"), arg("batch_size"), arg("seed") = 0)
      .def("memory", [](const PyNetwork& n) { return py::dict(py::arg("bytes") = n.bytes()); });
}

}  // namespace steep::bind
