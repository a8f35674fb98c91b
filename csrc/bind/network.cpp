// Python's view of networks and sessions. Each holds its float32 or its float64 form.
#include <variant>

#include "base/error.h"
#include "bind/arrays.h"
#include "graph/names.h"
#include "plan/session.h"

namespace steep::bind {

namespace {

template <class T> using NetworkPtr = std::shared_ptr<Network<T>>;

template <class T> py::array parameter_array(const Store<T>& store, int column, int parameter) {
  py::array_t<T> out(shape_of(store.layout().slices[parameter].shape));
  store.get(column, parameter, out.mutable_data());
  return out;
}

template <class T>
void set_parameter(Store<T>& store, int column, int parameter, const py::array& value) {
  const Slice& s = store.layout().slices[parameter];
  const Dense<T> values = dense<T>(value);
  if (Shape(values.shape(), values.shape() + values.ndim()) != s.shape) {
    refuse("parameter \"", s.name, "\" has shape ", text_of(s.shape), ", got ",
           text_of(Shape(values.shape(), values.shape() + values.ndim())));
  }
  store.set(column, parameter, values.data());
}

int parameter_index(const Graph& graph, const std::string& name) {
  const auto& all = graph.parameters();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].name == name) return static_cast<int>(i);
  }
  refuse("no parameter named \"", name, "\"");
}

bool is_double(const std::string& precision) {
  if (precision != "float32" && precision != "float64") {
    refuse("precision must be \"float32\" or \"float64\", got \"", precision, "\"");
  }
  return precision == "float64";
}

class PyNetwork {
 public:
  PyNetwork(std::shared_ptr<Graph> graph, const std::string& precision) : graph_(graph) {
    if (is_double(precision)) {
      network_ = std::make_shared<Network<double>>(graph);
    } else {
      network_ = std::make_shared<Network<float>>(graph);
    }
  }

  const Graph& graph() const { return *graph_; }
  std::string precision() const { return network_.index() == 0 ? "float32" : "float64"; }
  const std::variant<NetworkPtr<float>, NetworkPtr<double>>& get() const { return network_; }

  std::vector<std::pair<std::string, py::tuple>> parameters() const {
    std::vector<std::pair<std::string, py::tuple>> out;
    for (const Parameter& p : graph_->parameters()) {
      out.emplace_back(p.name, py::tuple(py::cast(p.shape)));
    }
    return out;
  }
  py::array value(const std::string& name) const {
    return std::visit(
        [&](const auto& n) {
          return parameter_array(*n->weights(), 0, parameter_index(*graph_, name));
        },
        network_);
  }
  void set_value(const std::string& name, const py::array& value) const {
    std::visit(
        [&](const auto& n) {
          set_parameter(*n->weights(), 0, parameter_index(*graph_, name), value);
        },
        network_);
  }
  void convert(const std::string& precision) {
    if (precision == this->precision()) return;
    const PyNetwork other(graph_, is_double(precision) ? "float64" : "float32");
    for (const Parameter& p : graph_->parameters()) other.set_value(p.name, value(p.name));
    network_ = other.network_;
  }
  std::vector<py::array> predict(const std::vector<py::array>& inputs, long batch_size) const {
    return std::visit([&](const auto& n) { return predict_on(*n, inputs, batch_size); }, network_);
  }
  long bytes() const {
    return std::visit([](const auto& n) { return n->bytes(); }, network_);
  }

 private:
  template <class T>
  std::vector<py::array> predict_on(Network<T>& network, const std::vector<py::array>& inputs,
                                    long batch_size) const {
    if (batch_size < 1) refuse("batch_size must be at least 1, got ", batch_size);
    const HeldData held = hold_inputs(*graph_, inputs);
    std::vector<py::array> outs;
    std::vector<T*> pointers;
    for (const int o : graph_->outputs()) {
      Shape shape = graph_->tensor(o).shape;
      shape.insert(shape.begin(), held.data.samples);
      py::array_t<T> out(shape_of(shape));
      pointers.push_back(out.mutable_data());
      outs.push_back(out);
    }
    const py::gil_scoped_release release;
    if (held.data.samples > 0) {
      network.predict(held.data, std::min(batch_size, held.data.samples), pointers);
    }
    return outs;
  }

  std::shared_ptr<Graph> graph_;
  std::variant<NetworkPtr<float>, NetworkPtr<double>> network_;
};

using Table = py::array_t<double, py::array::c_style>;

class PySession {
 public:
  PySession(std::shared_ptr<PyNetwork> network, const std::string& loss, double loss_option,
            const std::string& rule, uint64_t seed, bool mean, bool decay_bias)
      : network_(std::move(network)) {
    std::visit(
        [&]<class T>(const std::shared_ptr<Network<T>>& n) {
          session_ = std::make_unique<Session<T>>(n, loss_index(loss), loss_option,
                                                  rule_index(rule), seed, mean, decay_bias);
        },
        network_->get());
  }

  // The network may have been converted since: this session's weights would no longer be its own.
  template <class F> decltype(auto) visit(F&& f) const {
    if (session_.index() != network_->get().index()) {
      throw std::runtime_error(text("the network is ", network_->precision(),
                                    " now: another Trainer converted it; make a new Trainer"));
    }
    return std::visit([&](const auto& s) -> decltype(auto) { return f(*s); }, session_);
  }

  void set_data(const std::vector<py::array>& inputs, const py::array& targets,
                const std::optional<py::array>& weights, long batch_size, bool shuffle,
                const std::optional<AugmentSettings>& settings) {
    if (batch_size < 1) refuse("batch_size must be at least 1, got ", batch_size);
    HeldData held = hold(network_->graph(), inputs, targets, weights);
    if (settings) augment(held, inputs, *settings);
    visit([&](auto& s) { s.set_data(held.data, batch_size, shuffle); });
    held_ = std::move(held);
  }

  long run(long epoch, long batch, long step, const Table& knobs, Table& losses, Table& correct,
           double budget) {
    if (!held_) refuse("set_data comes before run");
    return visit([&](auto& s) {
      const long count = knobs.ndim() == 2 ? knobs.shape(0) : -1;
      if (count < 0 || knobs.shape(1) != s.knob_columns() || losses.size() < count ||
          correct.size() < count || epoch < 0 || batch < 0 || step < 0) {
        refuse("run expects knobs of shape (count, ", s.knob_columns(),
               "), losses and correct of (count,), and counters of at least 0");
      }
      const double* k = knobs.data();
      double *l = losses.mutable_data(), *c = correct.mutable_data();
      const py::gil_scoped_release release;
      return s.run({epoch, batch, step}, count, k, l, c, budget);
    });
  }

  py::object fault() const {
    return visit([](auto& s) -> py::object {
      if (!s.fault()) return py::none();
      py::dict out;
      out["step"] = s.fault()->step;
      out["what"] = s.fault()->what;
      out["where"] = s.fault()->where;
      out["undone"] = s.fault()->undone;
      return out;
    });
  }

  std::pair<double, py::dict> gradients(const std::vector<py::array>& inputs,
                                        const py::array& targets,
                                        const std::optional<py::array>& weights, long step,
                                        double l1, double l2) {
    const HeldData held = hold(network_->graph(), inputs, targets, weights);
    return visit([&]<class T>(Session<T>& s) {
      double loss;
      {
        const py::gil_scoped_release release;
        loss = s.gradients(held.data, step, l1, l2);
      }
      py::dict out;
      const auto& parameters = network_->graph().parameters();
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        if (!parameters[i].trained) continue;
        py::array_t<T> g(shape_of(parameters[i].shape));
        s.gradient(static_cast<int>(i), g.mutable_data());
        out[py::str(parameters[i].name)] = g;
      }
      return std::pair(loss, out);
    });
  }

  py::tuple evaluate(const std::vector<py::array>& inputs, const py::array& targets,
                     const std::optional<py::array>& weights, long batch_size) {
    if (batch_size < 1) refuse("batch_size must be at least 1, got ", batch_size);
    const HeldData held = hold(network_->graph(), inputs, targets, weights);
    const Totals t = visit([&](auto& s) {
      const py::gil_scoped_release release;
      return s.evaluate(held.data, batch_size);
    });
    return py::make_tuple(t.loss, t.correct, t.weight);
  }

  std::vector<std::string> slots() const {
    return visit([](auto& s) { return s.slots(); });
  }
  py::array get_slot(const std::string& slot, const std::string& name) const {
    return visit([&](auto& s) {
      return parameter_array(s.state(), slot_index(slot), parameter_index(network_->graph(), name));
    });
  }
  void set_slot(const std::string& slot, const std::string& name, const py::array& value) const {
    visit([&](auto& s) {
      set_parameter(s.state(), slot_index(slot), parameter_index(network_->graph(), name), value);
    });
  }
  py::dict memory(std::optional<long> batch_size) const {
    return visit([&](auto& s) {
      py::dict out;
      out["store"] = s.network().weights()->bytes() + s.state_bytes();
      out["snapshot"] = s.snapshot_bytes();
      out["arena"] = batch_size ? s.plan_bytes(*batch_size) : s.arena_bytes();
      return out;
    });
  }

 private:
  int slot_index(const std::string& slot) const {
    const auto all = slots();
    const auto at = std::find(all.begin(), all.end(), slot);
    if (at == all.end()) refuse("no slot named \"", slot, "\"");
    return static_cast<int>(at - all.begin());
  }

  std::shared_ptr<PyNetwork> network_;
  std::variant<std::unique_ptr<Session<float>>, std::unique_ptr<Session<double>>> session_;
  std::optional<HeldData> held_;
};

}  // namespace

void bind_network(py::module_& m) {
  using py::arg;
  py::class_<PyNetwork, std::shared_ptr<PyNetwork>>(m, "Network")
      .def(py::init<std::shared_ptr<Graph>, const std::string&>(), arg("graph"),
           arg("precision") = "float32")
      .def_property_readonly("precision", &PyNetwork::precision)
      .def("parameters", &PyNetwork::parameters)
      .def(
          "trained",
          [](const PyNetwork& n, const std::string& name) {
            return n.graph().parameters()[parameter_index(n.graph(), name)].trained;
          },
          arg("name"))
      .def("get", &PyNetwork::value, arg("name"))
      .def("set", &PyNetwork::set_value, arg("name"), arg("value"))
      .def("convert", &PyNetwork::convert, arg("precision"))
      .def("predict", &PyNetwork::predict, arg("inputs"), arg("batch_size"))
      .def("memory", [](const PyNetwork& n) {
        py::dict out;
        out["bytes"] = n.bytes();
        return out;
      });
  py::class_<PySession>(m, "Session")
      .def(py::init<std::shared_ptr<PyNetwork>, const std::string&, double, const std::string&,
                    uint64_t, bool, bool>(),
           arg("network"), arg("loss"), arg("loss_option"), arg("rule"), arg("seed"), arg("mean"),
           arg("decay_bias"))
      .def("set_data", &PySession::set_data, arg("inputs"), arg("targets"), arg("sample_weight"),
           arg("batch_size"), arg("shuffle"), arg("augment") = py::none())
      .def("run", &PySession::run, arg("epoch"), arg("batch"), arg("step"),
           arg("knobs").noconvert(), arg("losses").noconvert(), arg("correct").noconvert(),
           arg("budget"))
      .def_property_readonly("fault", &PySession::fault)
      .def("gradients", &PySession::gradients, arg("inputs"), arg("targets"), arg("sample_weight"),
           arg("step"), arg("l1"), arg("l2"))
      .def("evaluate", &PySession::evaluate, arg("inputs"), arg("targets"), arg("sample_weight"),
           arg("batch_size"))
      .def_property_readonly("slots", &PySession::slots)
      .def("get_slot", &PySession::get_slot, arg("slot"), arg("name"))
      .def("set_slot", &PySession::set_slot, arg("slot"), arg("name"), arg("value"))
      .def("memory", &PySession::memory, arg("batch_size") = py::none());
}

}  // namespace steep::bind
