// Python's view of Graph: every op of the list under its own name.
#include "base/sparse.h"
#include "bind/arrays.h"
#include "data/strays.h"
#include "graph/wholes.h"
#include "ops/names.h"

namespace steep::bind {

namespace {

// The tensor ids Python sees are those of the graph; shapes travel as tuples.
py::tuple tuple_of(const Shape& shape) {
  py::tuple out(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i) out[i] = shape[i];
  return out;
}

void read(py::handle from, ActivationId& to) {
  to = {activation_index(py::cast<std::string>(from))};
}
void read(py::handle from, std::shared_ptr<const SparseMatrix>& to) {
  if (from.is_none()) throw py::cast_error();
  const py::object native = py::getattr(from, "_native", from);  // of a data.Sparse
  to = py::cast<std::shared_ptr<SparseMatrix>>(native);
}
template <class Value> void read(py::handle from, Value& to) { to = py::cast<Value>(from); }

// What an op takes, in order: tensors, parameters, numbers.
template <class A> constexpr auto parameters_of() {
  if constexpr (requires { A::kParameters; })
    return A::kParameters;
  else
    return std::array<const char*, 0>{};
}
template <class A> constexpr auto fields_of() {
  if constexpr (requires { A::fields(); })
    return A::fields();
  else
    return std::tuple{};
}
template <class A> std::vector<std::string> arguments_of() {
  std::vector<std::string> names(A::kTensors.begin(), A::kTensors.end());
  for (const char* name : parameters_of<A>()) names.emplace_back(name);
  std::apply([&](const auto&... field) { (names.emplace_back(field.name), ...); }, fields_of<A>());
  return names;
}

// Arguments by position or name, as Python gives them.
class Arguments {
 public:
  Arguments(const char* op, const std::vector<std::string>& names, std::size_t required,
            const py::args& args, const py::kwargs& given)
      : op_(op) {
    if (args.size() > names.size()) {
      throw py::type_error(text(op, " takes ", names.size(), " arguments, got ", args.size()));
    }
    for (std::size_t i = 0; i < args.size(); ++i) by_name_[names[i].c_str()] = args[i];
    for (const auto& [key, value] : given) {
      const auto name = py::cast<std::string>(key);
      if (std::find(names.begin(), names.end(), name) == names.end() || by_name_.contains(key)) {
        throw py::type_error(text(op, ": takes no \"", name, "\", or takes it once"));
      }
      by_name_[key] = value;
    }
    for (std::size_t i = 0; i < required; ++i) {
      if (!by_name_.contains(names[i].c_str())) throw py::type_error(text(op, " needs ", names[i]));
    }
  }
  // `to` stays as it is where there is none.
  template <class Value> void get(const char* name, Value& to) const {
    if (!by_name_.contains(name)) return;
    try {
      read(by_name_[name], to);
    } catch (const py::cast_error&) {
      throw py::type_error(text(op_, ": ", name, " cannot be ",
                                py::repr(by_name_[name]).template cast<std::string>()));
    }
  }

 private:
  const char* op_;
  py::dict by_name_;
};

template <class A> int add(Graph& graph, const py::args& args, const py::kwargs& given) {
  const std::vector<std::string> names = arguments_of<A>();
  std::size_t required = names.size();  // the last ones may be left out where the op says so
  if constexpr (requires { A::kOptional; }) required -= A::kOptional;
  const Arguments arguments(A::kName, names, required, args, given);
  std::vector<int> in, parameters;
  for (const char* name : A::kTensors) arguments.get(name, in.emplace_back());
  for (const char* name : parameters_of<A>()) {
    int p = -1;
    arguments.get(name, p);
    if (p < 0 && in.size() + parameters.size() >= required) break;
    parameters.push_back(p);
  }
  A op;
  std::apply([&](const auto&... field) { (arguments.get(field.name, op.*field.at), ...); },
             fields_of<A>());
  return graph.add(std::move(op), in, parameters);
}

using GraphClass = py::class_<Graph, std::shared_ptr<Graph>>;

template <class A> void define(GraphClass& to, std::vector<std::string>& names) {
  if constexpr (requires { A::kTensors; }) {
    to.def(A::kName, &add<A>);
    names.emplace_back(A::kName);
  }
}
template <class... A> std::vector<std::string> define_all(GraphClass& to, List<A...>) {
  std::vector<std::string> names;
  (define<A>(to, names), ...);
  return names;
}

// The same in the memory of the device.
bool find_stray_there(const Source& s, const Wholes& of, Stray& found) {
  const Wanted wanted{static_cast<double>(of.low), static_cast<double>(of.high), true};
  const auto look = [&](const Elements& part, long place) {
    const long at = device_memory().first_unwanted(part, wanted);
    const long width = part.size() / std::max(1L, s.samples);
    if (at < 0 || (found.sample >= 0 && found.sample <= at / width)) return;
    const DeviceArray all(reinterpret_cast<std::uintptr_t>(part.data), part.shape, part.strides,
                          part.number, py::none());
    found = {at / width, width > 1 ? at % width : std::max(0L, place), all.value(at)};
  };
  found.sample = -1;
  Elements whole{s.data, number_of(s.format), {s.samples}, {s.sample_stride}};
  if (of.places.empty()) {
    whole.shape.insert(whole.shape.end(), s.shape.begin(), s.shape.end());
    whole.strides.insert(whole.strides.end(), s.strides.begin(), s.strides.end());
    look(whole, -1);
  }
  for (const long place : of.places) {
    Elements column = whole;
    long rest = place;
    for (std::size_t axis = s.shape.size(); axis-- > 0; rest /= s.shape[axis]) {
      column.data += rest % s.shape[axis] * s.strides[axis];
    }
    look(column, place);
  }
  return found.sample >= 0;
}

// The first number of the inputs that an op cannot take for a whole one of its range: number of the
// input, sample, place in it, the number, least, most, what it is, and for which layer; or None.
py::object stray(const Graph& graph, const std::vector<Given>& inputs) {
  for (const Wholes& of : wholes(graph)) {
    const Source from = view_of(inputs.at(of.input), "input");
    Stray at{};
    if (from.on_device ? find_stray_there(from, of, at)
                       : find_stray(from, of.places, of.low, of.high, at)) {
      return py::make_tuple(of.input, at.sample, at.place, at.value, of.low, of.high, of.what,
                            of.layer);
    }
  }
  return py::none();
}

}  // namespace

void bind_graph(py::module_& m) {
  using py::arg;
  m.def("relu_like", [] {
    std::vector<std::string> names = activation_names();
    std::erase_if(names,
                  [](const auto& n) { return !activation_is_relu_like(activation_index(n)); });
    return names;
  });
  py::class_<SparseMatrix, std::shared_ptr<SparseMatrix>>(m, "SparseMatrix")
      .def(py::init([](const Shape& shape, const Dense<int64_t>& begin,
                       const Dense<int32_t>& column, const Dense<double>& value) {
             if (shape.size() != 2) refuse("sparse matrix: shape must be (rows, columns)");
             return std::make_shared<SparseMatrix>(
                 shape[0], shape[1], std::vector(begin.data(), begin.data() + begin.size()),
                 std::vector(column.data(), column.data() + column.size()),
                 std::vector(value.data(), value.data() + value.size()));
           }),
           arg("shape"), arg("begin"), arg("column"), arg("value"));
  GraphClass graph(m, "Graph");
  graph.def(py::init<>())
      .def("copy", [](const Graph& g) { return std::make_shared<Graph>(g); })
      .def("input", &Graph::input, arg("shape"))
      .def("target", &Graph::target, arg("shape"), arg("number"))
      .def("parameter", &Graph::parameter, arg("name"), arg("shape"), arg("decay"),
           arg("trained") = true)
      .def("constrain", &Graph::constrain, arg("parameter"), arg("kind"), arg("limit") = 0.0)
      .def("name_next", &Graph::name_next, arg("layer"))
      .def(
          "shape", [](const Graph& g, int x) { return tuple_of(g.tensor(x).shape); }, arg("tensor"))
      .def("recompute", &Graph::recompute, arg("block"))
      .def("concat", &Graph::concat, arg("tensors"), arg("axis") = -1)
      .def("output", &Graph::output, arg("tensors"))
      .def("stray", &stray, arg("inputs"));
  const std::vector<std::string> names = define_all(graph, ops::All{});
  m.def("ops", [names] { return names; });
}

}  // namespace steep::bind
