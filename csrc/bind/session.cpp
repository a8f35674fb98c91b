// Python's view of sessions.
#include "session/session.h"

#include <array>
#include <atomic>
#include <map>
#include <variant>

#include "bind/network.h"
#include "bind/objective.h"

namespace steep::bind {

namespace {

using Table = py::array_t<double, py::array::c_style>;

// One number for all groups of parameters, or one of each.
using Penalty = std::variant<double, std::vector<double>>;

std::vector<double> by_group(const Session& session, int objective, const Penalty& given) {
  const std::size_t groups = session.goals()[objective].recipe.rules.size();
  if (const double* same = std::get_if<double>(&given)) return std::vector(groups, *same);
  const auto& each = std::get<std::vector<double>>(given);
  if (each.size() != groups) refuse("gradients: ", groups, " groups, ", each.size(), " penalties");
  return each;
}

class PySession {
 public:
  // Of a graph that has all of the network's, or of the network's own.
  PySession(std::shared_ptr<PyNetwork> network, const std::vector<Aimed>& objectives,
            std::shared_ptr<Graph> graph, int scalars)
      : network_(std::move(network)), trained_(network_->get()),
        graph_(graph ? std::move(graph) : network_->shared_graph()),
        session_(std::make_unique<Session>(trained_, graph_, objectives, scalars)),
        kinds_(target_kinds(*graph_, session_->terms())) {}

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

  void set_data(const std::vector<Given>& inputs, const std::vector<Given>& targets,
                const Weights& weights, long batch_size, bool shuffle, bool drop_last,
                const std::optional<AugmentSettings>& settings, long at_once) {
    if (batch_size < 1) refuse("batch_size must be at least 1, got ", batch_size);
    HeldData held = read(inputs, targets, weights);
    if (settings) augment(held, inputs, *settings);
    ++data_set_;  // first: where it fails there are no data
    released([&](Session& s) { s.set_data(held.data, {batch_size, at_once, shuffle, drop_last}); });
    std::swap(held_, held);
  }
  void set_batch(const std::vector<Given>& inputs, const std::vector<Given>& targets,
                 const Weights& weights) {
    HeldData held = read(inputs, targets, weights);
    make_own(held.data);
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
    const Origin& origin = fault->origin;
    const py::object sample = origin.sample < 0 ? py::none() : py::object(py::int_(origin.sample));
    return py::dict(py::arg("what") = fault->what, py::arg("where") = origin.where,
                    py::arg("op") = origin.op, py::arg("direction") = origin.direction,
                    py::arg("sample") = sample);
  }

  bool ended() const {
    return released([](Session& s) { return s.ended(); });
  }
  long evaluations() const {
    return released([](Session& s) { return s.evaluations(); });
  }
  void limit_evaluations(long most) const {
    released([&](Session& s) { s.limit_evaluations(most); });
  }
  long epoch() const { return session().epoch(); }
  long steps() const { return session().steps(); }
  py::dict progress() const {
    return dict_of(released([](Session& s) { return s.progress(); }));
  }
  void set_progress(long epoch, long batch, long steps,
                    const std::vector<std::array<double, 5>>& sums) {
    if (epoch < 0 || batch < 0 || steps < 0) refuse("counters must be at least 0");
    Progress progress{epoch, batch, steps};
    for (const auto& [loss, weighted, right, weight, samples] : sums) {
      progress.sums.push_back({loss, weighted, right, weight, samples});
    }
    if (sums.size() != session().terms().size()) {
      refuse("there are ", session().terms().size(), " losses, sums of ", sums.size());
    }
    released([&](Session& s) { s.set_progress(progress); });
  }
  void begin_epoch(bool next) {
    released([&](Session& s) { s.begin_epoch(next); });
  }
  py::tuple record(long first) const {
    if (first < 0) refuse("steps count from 0, got ", first);
    const Session::Record found = released([&](Session& s) { return s.record(first); });
    py::list ended;
    const std::size_t terms = session().terms().size();
    for (std::size_t i = 0; i < found.ended.size(); ++i) {
      const auto& [epoch, steps, seconds] = found.ended[i];
      const auto first = found.sums.begin() + static_cast<long>(i * terms);
      ended.append(py::make_tuple(epoch, steps, seconds,
                                  list_of({first, first + static_cast<long>(terms)})));
    }
    return py::make_tuple(
        found.progress.epoch, found.progress.steps,
        py::array_t<double>(static_cast<py::ssize_t>(found.losses.size()), found.losses.data()),
        ended);
  }

  void set_recording(long every) {
    released([&](Session& s) { s.set_recording(every); });
  }
  py::tuple recorded(long known) const {
    const Recording::Rows rows = released([&](Session& s) { return s.recorded(known); });
    const auto count = static_cast<py::ssize_t>(rows.steps.size());
    const auto columns = count > 0 ? static_cast<py::ssize_t>(rows.values.size()) / count : 0;
    return py::make_tuple(py::array_t<long>(count, rows.steps.data()),
                          py::array_t<double>({count, columns}, rows.values.data()));
  }
  py::list watched() const {
    py::list all;
    for (const Watched& op : released([](Session& s) { return s.watched(); })) {
      all.append(py::make_tuple(op.layer, op.activation));
    }
    return all;
  }

  std::pair<double, py::dict> gradients(const std::vector<Given>& inputs,
                                        const std::vector<Given>& targets, const Weights& weights,
                                        const Penalty& l1, const Penalty& l2, int objective,
                                        const std::vector<double>& scalars) {
    const HeldData held = read(inputs, targets, weights);
    Session& s = session();
    if (objective < 0 || objective >= static_cast<int>(s.goals().size())) {
      refuse("there are ", s.goals().size(), " objectives, got number ", objective);
    }
    check_scalars(scalars);
    const Penalties penalties{by_group(s, objective, l1), by_group(s, objective, l2)};
    const auto& parameters = network_->graph().parameters();
    Arrays out{trained_->format()};
    out.add_all(network_->graph());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (!trains(objective, i)) out.data[i] = nullptr;
    }
    const double loss = heedful([&](Halt& halt) {
      return s.gradients(held.data, objective, scalars.data(), penalties, out.data, halt);
    });
    py::dict named;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (out.data[i] != nullptr) named[py::str(parameters[i].name)] = out.arrays[i];
    }
    return {loss, named};
  }

  // Of outputs their derivative along the direction, (samples, width), where there is one; and the product
  // with it, or of outputs with `back` (samples, width), by parameter: all in float64.
  py::tuple derive(const std::vector<Given>& inputs,
                   const std::optional<std::vector<Given>>& targets, const Weights& weights,
                   const std::string& what, const Penalty& l2,
                   const std::map<std::string, py::array>& along,
                   const std::optional<py::array>& back, const std::vector<double>& scalars) {
    static const std::map<std::string, Derivative::Kind> kinds{
        {"hessian", Derivative::kHessian},
        {"gauss_newton", Derivative::kGaussNewton},
        {"outputs", Derivative::kOutputs}};
    if (!kinds.count(what)) refuse("no derivative is called \"", what, "\"");
    const Graph& graph = network_->graph();
    if (!targets && what != "outputs") refuse("the derivative of a loss needs targets");
    const HeldData held = targets ? read(inputs, *targets, weights) : hold_inputs(graph, inputs);
    expect_reach(held, trained_->device());
    Session& s = session();
    check_scalars(scalars);
    Derivative wanted{kinds.at(what), by_group(s, 0, l2), {}, nullptr, nullptr, {}};
    int index = -1;
    std::vector<py::array> directions;  // held while they are read
    Arrays out{Format::Float64};
    for (const Parameter& p : graph.parameters()) {
      out.add(p.shape);
      const bool trained = trains(0, static_cast<std::size_t>(++index));
      wanted.gradients.push_back(trained ? static_cast<double*>(out.data.back()) : nullptr);
      wanted.along.push_back(nullptr);
      if (!along.count(p.name)) continue;
      if (!trained) refuse("parameter \"", p.name, "\" is not trained");
      directions.push_back(fitting(p, along.at(p.name), Format::Float64));
      wanted.along.back() = static_cast<const double*>(directions.back().data());
    }
    const Shape rows{held.data.samples, graph.tensor(graph.outputs()[0]).width};
    Arrays outputs{Format::Float64};
    const bool shown = wanted.kind == Derivative::kOutputs && !along.empty();
    if (shown) {
      outputs.add(rows);
      wanted.outputs = static_cast<double*>(outputs.data[0]);
    }
    std::optional<py::array> given;
    if (back) {
      given = dense(*back, Format::Float64);
      if (given->size() != rows[0] * rows[1]) refuse("back expects ", text_of(rows));
      wanted.back = static_cast<const double*>(given->data());
    }
    heedful([&](Halt& halt) {
      s.derive(held.data, scalars.data(), wanted, halt);
      return true;
    });
    py::dict named;
    for (std::size_t i = 0; i < out.arrays.size(); ++i) {
      if (wanted.gradients[i]) named[py::str(graph.parameters()[i].name)] = out.arrays[i];
    }
    return py::make_tuple(shown ? outputs.arrays[0] : py::object(py::none()), named);
  }

  py::list evaluate(const std::vector<Given>& inputs, const std::vector<Given>& targets,
                    const Weights& weights, long batch_size) {
    if (batch_size < 1) refuse("batch_size must be at least 1, got ", batch_size);
    const HeldData held = read(inputs, targets, weights);
    Session& s = session();
    py::list out;
    for (const Totals& t :
         heedful([&](Halt& halt) { return s.evaluate(held.data, batch_size, halt); })) {
      out.append(py::make_tuple(t.loss, t.correct, t.weight));
    }
    return out;
  }

  std::vector<std::string> slots() const { return session().slots(); }
  py::array get_slot(const std::string& slot, const std::string& name) const {
    const auto all = slots();
    const auto at = std::find(all.begin(), all.end(), slot);
    if (at == all.end()) refuse("no slot named \"", slot, "\"");
    const int index = parameter_index(network_->graph(), name);
    const int column = static_cast<int>(at - all.begin());
    if (!has_slot(column, index)) refuse("\"", name, "\" has no slot \"", slot, "\"");
    Arrays out{trained_->format()};
    out.add(slot_shape(column, index));
    released([&](Session& s) {
      const Inside looking(s.gate(), Inside::kRead);
      s.state().get(column, index, out.data[0]);
    });
    return out.arrays[0];
  }
  // weights by name, slots by slot and name, progress: all of one moment.
  py::tuple copy_out() const {
    const Graph& graph = network_->graph();
    const std::vector<std::string> names = slots();
    const std::size_t parameters = graph.parameters().size();
    Arrays weights{trained_->format()}, slots{trained_->format()};
    weights.add_all(graph);
    std::vector<void*> outs(names.size() * parameters, nullptr);
    py::dict by_slot;
    for (std::size_t i = 0; i < names.size(); ++i) {
      py::dict found;
      for (std::size_t p = 0; p < parameters; ++p) {
        const int column = static_cast<int>(i), index = static_cast<int>(p);
        if (!has_slot(column, index)) continue;
        slots.add(slot_shape(column, index));
        outs[i * parameters + p] = slots.data.back();
        found[py::str(graph.parameters()[p].name)] = slots.arrays.back();
      }
      by_slot[py::str(names[i])] = found;
    }
    const Progress progress = released([&](Session& s) { return s.copy_out(weights.data, outs); });
    py::dict by_name;
    for (std::size_t p = 0; p < parameters; ++p) {
      by_name[py::str(graph.parameters()[p].name)] = weights.arrays[p];
    }
    return py::make_tuple(by_name, by_slot, dict_of(progress));
  }
  // Arrays by slot and name, all of them.
  void assign_slots(const std::map<std::string, std::map<std::string, py::array>>& given) const {
    std::vector<py::array> checked;
    std::vector<const void*> values;
    int column = -1;
    for (const std::string& slot : slots()) {
      int index = -1;
      ++column;
      for (Parameter p : network_->graph().parameters()) {
        values.push_back(nullptr);
        if (!has_slot(column, ++index)) continue;
        if (!given.count(slot) || !given.at(slot).count(p.name)) {
          refuse("slot \"", slot, "\" of \"", p.name, "\" is missing");
        }
        p.shape = slot_shape(column, index);
        checked.push_back(fitting(p, given.at(slot).at(p.name), trained_->format()));
        values.back() = checked.back().data();
      }
    }
    released([&](Session& s) { s.assign_slots(values); });
  }
  std::string steps_by() const {
    std::string by;
    released([&](Session& s) {
      const Inside looking(s.gate(), Inside::kRead);
      by = s.steps_by();
    });
    return by;
  }
  std::string stored() const {
    std::string how;
    released([&](Session& s) {
      const Inside looking(s.gate(), Inside::kRead);
      how = s.stored();
    });
    return how;
  }
  py::dict memory(std::optional<long> batch_size) const {
    long store, snapshot, arena;
    released([&](Session& s) {
      const Inside looking(s.gate(), Inside::kRead);
      store = s.network().weights()->bytes() + s.state_bytes();
      snapshot = s.snapshot_bytes();
      arena = batch_size ? s.plan_bytes(*batch_size) : s.plan_bytes();
    });
    return py::dict(py::arg("store") = store, py::arg("snapshot") = snapshot,
                    py::arg("arena") = arena);
  }

 private:
  HeldData read(const std::vector<Given>& inputs, const std::vector<Given>& targets,
                const Weights& weights) const {
    HeldData held = hold(*graph_, kinds_, inputs, targets, weights);
    expect_reach(held, trained_->device());
    return held;
  }
  const Shape& slot_shape(int column, int parameter) const {
    return session().state().layout(column).slices[static_cast<std::size_t>(parameter)].shape;
  }
  bool has_slot(int column, int parameter) const {
    return session().state().layout(column).slices[static_cast<std::size_t>(parameter)].size > 0;
  }
  static py::list list_of(const std::vector<Sums>& sums) {
    py::list all;
    for (const Sums& s : sums) {
      all.append(py::make_tuple(s.loss, s.weighted, s.right, s.weight, s.samples));
    }
    return all;
  }
  static py::dict dict_of(const Progress& p) {
    using py::arg;
    return py::dict(arg("epoch") = p.epoch, arg("batch") = p.batch, arg("steps") = p.steps,
                    arg("sums") = list_of(p.sums), arg("seconds") = p.seconds);
  }
  // Is it a parameter that the gradient of an objective moves?
  bool trains(int objective, std::size_t parameter) const {
    const Objective& of = session_->goals()[objective].objective;
    return graph_->parameters()[parameter].trained && of.moves[parameter] && !of.frozen[parameter];
  }
  void check_scalars(const std::vector<double>& given) const {
    const KnobRow& row = session_->knob_row();
    if (static_cast<int>(given.size()) != row.columns - row.scalars) {
      refuse("a step has ", row.columns - row.scalars, " scalars, got ", given.size());
    }
  }
  std::shared_ptr<PyNetwork> network_;
  const NetworkPtr trained_;
  const std::shared_ptr<const Graph> graph_;  // of the losses, too
  const std::unique_ptr<Session> session_;
  const std::vector<TargetKind> kinds_;
  HeldData held_;  // what set_data was given
  std::atomic<long> data_set_{0};
};

}  // namespace

void bind_session(py::module_& m) {
  using py::arg;
  py::class_<PySession>(m, "Session")
      .def(py::init<std::shared_ptr<PyNetwork>, const std::vector<Aimed>&, std::shared_ptr<Graph>,
                    int>(),
           arg("network"), arg("objectives"), arg("graph") = nullptr, arg("scalars") = 0)
      .def("set_data", &PySession::set_data, arg("inputs"), arg("targets"), arg("sample_weight"),
           arg("batch_size"), arg("shuffle"), arg("drop_last") = false, arg("augment") = py::none(),
           arg("at_once") = 0)
      .def("set_batch", &PySession::set_batch, arg("inputs"), arg("targets"), arg("sample_weight"))
      .def("release_data", &PySession::release_data)
      .def_property_readonly("data_set", &PySession::data_set)
      .def("run", &PySession::run, arg("knobs").noconvert(), arg("known"), arg("budget"))
      .def("verify", &PySession::verify, arg("always"))
      .def_property_readonly("fault", &PySession::fault)
      .def_property_readonly("ended", &PySession::ended)
      .def_property_readonly("evaluations", &PySession::evaluations)
      .def("limit_evaluations", &PySession::limit_evaluations, arg("most"))
      .def_property_readonly("epoch", &PySession::epoch)
      .def_property_readonly("steps", &PySession::steps)
      .def_property_readonly("progress", &PySession::progress)
      .def("set_progress", &PySession::set_progress, arg("epoch"), arg("batch"), arg("steps"),
           arg("sums"))
      .def("begin_epoch", &PySession::begin_epoch, arg("next"))
      .def("record", &PySession::record, arg("first"))
      .def("set_recording", &PySession::set_recording, arg("every"))
      .def("recorded", &PySession::recorded, arg("known"))
      .def_property_readonly("watched", &PySession::watched)
      .def("gradients", &PySession::gradients, arg("inputs"), arg("targets"), arg("sample_weight"),
           arg("l1"), arg("l2"), arg("objective") = 0, arg("scalars") = std::vector<double>{})
      .def("derive", &PySession::derive, arg("inputs"), arg("targets"), arg("sample_weight"),
           arg("what"), arg("l2"), arg("along"), arg("back"),
           arg("scalars") = std::vector<double>{})
      .def("evaluate", &PySession::evaluate, arg("inputs"), arg("targets"), arg("sample_weight"),
           arg("batch_size"))
      .def_property_readonly("slots", &PySession::slots)
      .def("get_slot", &PySession::get_slot, arg("slot"), arg("name"))
      .def("copy_out", &PySession::copy_out)
      .def("assign_slots", &PySession::assign_slots, arg("slots"))
      .def("steps_by", &PySession::steps_by)
      .def("stored", &PySession::stored)
      .def("memory", &PySession::memory, arg("batch_size") = py::none());
}

}  // namespace steep::bind
