// Python's view of networks and sessions.
#include <atomic>
#include <map>
#include <mutex>
#include <numeric>

#include "base/error.h"
#include "bind/arrays.h"
#include "bind/gil.h"
#include "ops/names.h"
#include "session/session.h"

namespace steep::bind {

namespace {

using NetworkPtr = std::shared_ptr<Network>;
using NamedArrays = std::vector<std::pair<std::string, py::array>>;

int parameter_index(const Graph& graph, const std::string& name) {
  const int index = graph.find_parameter(name);
  if (index < 0) refuse("no parameter named \"", name, "\"");
  return index;
}

Format format_of(const std::string& precision) {
  if (precision == "float32") return Format::Float32;
  if (precision == "float64") return Format::Float64;
  refuse("precision must be \"float32\" or \"float64\", got \"", precision, "\"");
}

// New arrays of one format, and where their values go.
struct Arrays {
  Format format;
  std::vector<py::array> arrays = {};
  std::vector<void*> data = {};

  void add(const Shape& shape) {
    arrays.push_back(empty(format, shape));
    data.push_back(arrays.back().mutable_data());
  }
  void add_all(const Graph& graph) {  // one a parameter
    for (const Parameter& p : graph.parameters()) add(p.shape);
  }
};

// Values for one parameter, dense and of its shape.
py::array fitting(const Parameter& p, const py::array& value, Format format) {
  py::array values = dense(value, format);
  const Shape got(values.shape(), values.shape() + values.ndim());
  if (got != p.shape) {
    refuse("parameter \"", p.name, "\" has shape ", text_of(p.shape), ", got ", text_of(got));
  }
  return values;
}

class PyNetwork : public std::enable_shared_from_this<PyNetwork> {
 public:
  PyNetwork(std::shared_ptr<Graph> graph, const std::string& precision)
      : graph_(std::move(graph)),
        network_(std::make_shared<Network>(graph_, format_of(precision), cpu::device())) {}
  PyNetwork(std::shared_ptr<Graph> graph, std::shared_ptr<PyNetwork> whole,
            const std::vector<std::string>& names)
      : graph_(std::move(graph)), whole_(std::move(whole)) {
    if (names.size() != graph_->parameters().size()) {
      refuse("a part has ", graph_->parameters().size(), " parameters, got ", names.size(),
             " names");
    }
    for (const std::string& name : names) places_.push_back(parameter_index(whole_->graph(), name));
    get();
  }

  const Graph& graph() const { return *graph_; }
  std::string precision() const {
    return get()->format() == Format::Float64 ? "float64" : "float32";
  }

  // The network of now. A part follows its whole into another precision.
  NetworkPtr get() const {
    const NetworkPtr whole = whole_ ? whole_->get() : nullptr;
    std::lock_guard lock(mutex_);
    if (whole != seen_) {
      network_ = std::make_shared<Network>(graph_, *whole, places_);
      seen_ = whole;
    }
    return network_;
  }

  std::vector<std::pair<std::string, py::tuple>> parameters() const {
    std::vector<std::pair<std::string, py::tuple>> out;
    for (const Parameter& p : graph_->parameters()) {
      out.emplace_back(p.name, py::tuple(py::cast(p.shape)));
    }
    return out;
  }
  py::array value(const std::string& name) const {
    return read({parameter_index(*graph_, name)})[0];
  }
  std::vector<py::array> values() const {
    std::vector<int> all(graph_->parameters().size());
    std::iota(all.begin(), all.end(), 0);
    return read(all);
  }
  void set_value(const std::string& name, const py::array& value) const { assign({{name, value}}); }
  // All at one moment, or none.
  void assign(const NamedArrays& values) const {
    const NetworkPtr n = get();
    std::vector<std::pair<int, py::array>> checked;
    for (const auto& [name, value] : values) {
      const int index = parameter_index(*graph_, name);
      checked.emplace_back(index, fitting(graph_->parameters()[index], value, n->format()));
    }
    const Released released;
    const Inside writing(n->weights()->gate(), Inside::kWrite);
    for (const auto& [index, value] : checked) n->weights()->set(0, index, value.data());
  }
  void convert(const std::string& precision) {
    if (whole_) return whole_->convert(precision);
    if (precision == this->precision()) return;
    const PyNetwork other(graph_, precision);
    const std::vector<py::array> all = values();
    NamedArrays named;
    for (std::size_t i = 0; i < all.size(); ++i) {
      named.emplace_back(graph_->parameters()[i].name, all[i]);
    }
    other.assign(named);
    std::lock_guard lock(mutex_);
    network_ = other.network_;
  }
  // What conversions may be undone to: the very network there was.
  struct Form { NetworkPtr network; };
  Form form() const { return whole_ ? whole_->form() : Form{get()}; }
  void restore(const Form& form) {
    if (whole_) return whole_->restore(form);
    std::lock_guard lock(mutex_);
    network_ = form.network;
  }
  std::vector<py::array> predict(const std::vector<py::array>& inputs, long batch_size) const {
    if (batch_size < 1) refuse("batch_size must be at least 1, got ", batch_size);
    const NetworkPtr n = get();
    const HeldData held = hold_inputs(*graph_, inputs);
    const long samples = held.data.samples;
    Arrays outs{n->format()};
    for (const int o : graph_->outputs()) {
      Shape shape = graph_->tensor(o).shape;
      shape.insert(shape.begin(), samples);
      outs.add(shape);
    }
    if (samples == 0) return outs.arrays;
    heedful([&](Halt& halt) {
      const Inside looking(n->weights()->gate(), Inside::kRead, &halt);
      if (looking) n->predict(held.data, std::min(batch_size, samples), outs.data, halt);
      return true;
    });
    return outs.arrays;
  }
  long bytes() const { return get()->bytes(); }

 private:
  // Of one moment.
  std::vector<py::array> read(const std::vector<int>& parameters) const {
    const NetworkPtr n = get();
    Arrays out{n->format()};
    for (const int p : parameters) out.add(graph_->parameters()[p].shape);
    {
      const Released released;
      const Inside looking(n->weights()->gate(), Inside::kRead);
      for (std::size_t i = 0; i < out.data.size(); ++i) {
        n->weights()->get(0, parameters[i], out.data[i]);
      }
    }
    return out.arrays;
  }

  std::shared_ptr<Graph> graph_;
  std::shared_ptr<PyNetwork> whole_;  // whose weights a part has
  std::vector<int> places_;
  mutable std::mutex mutex_;
  mutable NetworkPtr network_;
  mutable NetworkPtr seen_;  // the whole's, which network_ is a part of
};

using Table = py::array_t<double, py::array::c_style>;

class PySession {
 public:
  PySession(std::shared_ptr<PyNetwork> network, const std::string& loss, double loss_option,
            const std::string& rule, uint64_t seed, bool mean, bool decay_bias)
      : network_(std::move(network)), trained_(network_->get()),
        session_(std::make_unique<Session>(trained_, Objective{loss_index(loss), loss_option},
                                           Recipe{rule_index(rule), seed, mean, decay_bias})) {}

  // The network may have been converted since: this session's weights would no longer be its own.
  Session& session() const {
    if (trained_ != network_->get()) {
      throw std::runtime_error(text("the network was converted, it is ", network_->precision(),
                                    " now: another Trainer did that; make a new Trainer"));
    }
    return *session_;
  }

  // work(session) without the GIL.
  template <class Work> auto released(Work&& work) const {
    Session& s = session();
    const Released released;
    return work(s);
  }

  void set_data(const std::vector<py::array>& inputs, const py::array& targets,
                const std::optional<py::array>& weights, long batch_size, bool shuffle,
                bool drop_last, const std::optional<AugmentSettings>& settings) {
    if (batch_size < 1) refuse("batch_size must be at least 1, got ", batch_size);
    HeldData held = hold(network_->graph(), inputs, targets, weights);
    if (settings) augment(held, inputs, *settings);
    ++data_set_;  // first: where it fails there are no data
    released([&](Session& s) { s.set_data(held.data, {batch_size, shuffle, drop_last}); });
    std::swap(held_, held);
  }
  void set_batch(const std::vector<py::array>& inputs, const py::array& targets,
                 const std::optional<py::array>& weights) {
    HeldData held = hold(network_->graph(), inputs, targets, weights);
    ++data_set_;
    released([&](Session& s) { s.set_batch(held.data); });
    std::swap(held_, held);
  }
  void release_data() {
    ++data_set_;
    released([](Session& s) { s.release_data(); });
    held_ = {};
  }

  // Number of the data set: another one whenever it was changed.
  long data_set() const { return data_set_; }

  long run(const Table& knobs, long known, double budget) {
    Session& s = session();
    const long count = knobs.ndim() == 2 ? knobs.shape(0) : -1;
    if (count < 0 || knobs.shape(1) != s.knob_columns()) {
      refuse("run expects knobs of shape (count, ", s.knob_columns(), ")");
    }
    const double* k = knobs.data();
    Halt halt(&interrupted);  // the caller goes on with what is left
    const Released released;
    return s.run(count, k, known, budget, halt);
  }
  bool verify(bool always) {
    Session& s = session();
    return heedful([&](Halt& halt) { return s.verify(always, halt); });
  }

  py::object fault() const {
    const std::optional<Fault> fault = released([](Session& s) { return s.fault(); });
    if (!fault) return py::none();
    py::dict out;
    out["what"] = fault->what;
    out["where"] = fault->where;
    return out;
  }

  long epoch() const { return session().epoch(); }
  long steps() const { return session().steps(); }
  py::dict progress() const {
    return dict_of(released([](Session& s) { return s.progress(); }));
  }
  void set_progress(long epoch, long batch, long steps, double loss, double right, double weight) {
    if (epoch < 0 || batch < 0 || steps < 0) refuse("counters must be at least 0");
    released([&](Session& s) { s.set_progress({epoch, batch, steps, loss, right, weight, 0.0}); });
  }
  void begin_epoch(bool next) {
    released([&](Session& s) { s.begin_epoch(next); });
  }
  py::tuple losses(long first) const {
    if (first < 0) refuse("steps count from 0, got ", first);
    const auto [progress, values] = released([&](Session& s) { return s.losses(first); });
    return py::make_tuple(
        progress.epoch, progress.steps,
        py::array_t<double>(static_cast<py::ssize_t>(values.size()), values.data()));
  }

  std::pair<double, py::dict> gradients(const std::vector<py::array>& inputs,
                                        const py::array& targets,
                                        const std::optional<py::array>& weights, double l1,
                                        double l2) {
    const HeldData held = hold(network_->graph(), inputs, targets, weights);
    Session& s = session();
    const auto& parameters = network_->graph().parameters();
    Arrays out{trained_->format()};
    out.add_all(network_->graph());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (!parameters[i].trained) out.data[i] = nullptr;
    }
    const double loss =
        heedful([&](Halt& halt) { return s.gradients(held.data, l1, l2, out.data, halt); });
    py::dict named;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (parameters[i].trained) named[py::str(parameters[i].name)] = out.arrays[i];
    }
    return {loss, named};
  }

  py::tuple evaluate(const std::vector<py::array>& inputs, const py::array& targets,
                     const std::optional<py::array>& weights, long batch_size) {
    if (batch_size < 1) refuse("batch_size must be at least 1, got ", batch_size);
    const HeldData held = hold(network_->graph(), inputs, targets, weights);
    Session& s = session();
    const Totals t = heedful([&](Halt& halt) { return s.evaluate(held.data, batch_size, halt); });
    return py::make_tuple(t.loss, t.correct, t.weight);
  }

  std::vector<std::string> slots() const { return session().rule().slots; }
  py::array get_slot(const std::string& slot, const std::string& name) const {
    const auto all = slots();
    const auto at = std::find(all.begin(), all.end(), slot);
    if (at == all.end()) refuse("no slot named \"", slot, "\"");
    const int index = parameter_index(network_->graph(), name);
    Arrays out{trained_->format()};
    out.add(network_->graph().parameters()[index].shape);
    released([&](Session& s) {
      const Inside looking(s.gate(), Inside::kRead);
      s.state().get(static_cast<int>(at - all.begin()), index, out.data[0]);
    });
    return out.arrays[0];
  }
  // weights by name, slots by slot and name, progress: all of one moment.
  py::tuple copy_out() const {
    const Graph& graph = network_->graph();
    const std::vector<std::string> names = slots();
    Arrays weights{trained_->format()}, slots{trained_->format()};
    weights.add_all(graph);
    for (std::size_t i = 0; i < names.size(); ++i) slots.add_all(graph);
    const Progress progress =
        released([&](Session& s) { return s.copy_out(weights.data, slots.data); });
    const auto by_name = [&](const Arrays& all, std::size_t first) {
      py::dict out;
      for (const Parameter& p : graph.parameters()) out[py::str(p.name)] = all.arrays[first++];
      return out;
    };
    py::dict by_slot;
    for (std::size_t i = 0; i < names.size(); ++i) {
      by_slot[py::str(names[i])] = by_name(slots, i * graph.parameters().size());
    }
    return py::make_tuple(by_name(weights, 0), by_slot, dict_of(progress));
  }
  // Arrays by slot and name, all of them.
  void assign_slots(const std::map<std::string, std::map<std::string, py::array>>& given) const {
    std::vector<py::array> checked;
    std::vector<const void*> values;
    for (const std::string& slot : slots()) {
      for (const Parameter& p : network_->graph().parameters()) {
        if (!given.count(slot) || !given.at(slot).count(p.name)) {
          refuse("slot \"", slot, "\" of \"", p.name, "\" is missing");
        }
        checked.push_back(fitting(p, given.at(slot).at(p.name), trained_->format()));
        values.push_back(checked.back().data());
      }
    }
    released([&](Session& s) { s.assign_slots(values); });
  }
  py::dict memory(std::optional<long> batch_size) const {
    long store, snapshot, arena;
    released([&](Session& s) {
      const Inside looking(s.gate(), Inside::kRead);
      store = s.network().weights()->bytes() + s.state_bytes();
      snapshot = s.snapshot_bytes();
      arena = batch_size ? s.plan_bytes(*batch_size) : s.plan_bytes();
    });
    py::dict out;
    out["store"] = store;
    out["snapshot"] = snapshot;
    out["arena"] = arena;
    return out;
  }

 private:
  static py::dict dict_of(const Progress& p) {
    py::dict out;
    out["epoch"] = p.epoch;
    out["batch"] = p.batch;
    out["steps"] = p.steps;
    out["loss"] = p.loss;
    out["right"] = p.right;
    out["weight"] = p.weight;
    out["seconds"] = p.seconds;
    return out;
  }
  std::shared_ptr<PyNetwork> network_;
  const NetworkPtr trained_;
  const std::unique_ptr<Session> session_;
  HeldData held_;  // what set_data was given
  std::atomic<long> data_set_{0};
};

}  // namespace

void bind_network(py::module_& m) {
  using py::arg;
  py::class_<PyNetwork::Form>(py::handle(), "NetworkForm");  // opaque, and made by no user
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
      .def("values", &PyNetwork::values)
      .def("set", &PyNetwork::set_value, arg("name"), arg("value"))
      .def("assign", &PyNetwork::assign, arg("values"))
      .def(
          "view",
          [](std::shared_ptr<PyNetwork> whole, std::shared_ptr<Graph> graph,
             const std::vector<std::string>& names) {
            return std::make_shared<PyNetwork>(std::move(graph), std::move(whole), names);
          },
          arg("graph"), arg("names"))
      .def("convert", &PyNetwork::convert, arg("precision"))
      .def("form", &PyNetwork::form)
      .def("restore", &PyNetwork::restore, arg("form"))
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
           arg("batch_size"), arg("shuffle"), arg("drop_last") = false, arg("augment") = py::none())
      .def("set_batch", &PySession::set_batch, arg("inputs"), arg("targets"), arg("sample_weight"))
      .def("release_data", &PySession::release_data)
      .def_property_readonly("data_set", &PySession::data_set)
      .def("run", &PySession::run, arg("knobs").noconvert(), arg("known"), arg("budget"))
      .def("verify", &PySession::verify, arg("always"))
      .def_property_readonly("fault", &PySession::fault)
      .def_property_readonly("epoch", &PySession::epoch)
      .def_property_readonly("steps", &PySession::steps)
      .def_property_readonly("progress", &PySession::progress)
      .def("set_progress", &PySession::set_progress, arg("epoch"), arg("batch"), arg("steps"),
           arg("loss"), arg("right"), arg("weight"))
      .def("begin_epoch", &PySession::begin_epoch, arg("next"))
      .def("losses", &PySession::losses, arg("first"))
      .def("gradients", &PySession::gradients, arg("inputs"), arg("targets"), arg("sample_weight"),
           arg("l1"), arg("l2"))
      .def("evaluate", &PySession::evaluate, arg("inputs"), arg("targets"), arg("sample_weight"),
           arg("batch_size"))
      .def_property_readonly("slots", &PySession::slots)
      .def("get_slot", &PySession::get_slot, arg("slot"), arg("name"))
      .def("copy_out", &PySession::copy_out)
      .def("assign_slots", &PySession::assign_slots, arg("slots"))
      .def("memory", &PySession::memory, arg("batch_size") = py::none());
}

}  // namespace steep::bind
