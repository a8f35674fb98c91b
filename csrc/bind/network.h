// The Python side of a network, which sessions hold, too; and arrays for the values of parameters.
#pragma once
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "bind/arrays.h"
#include "bind/gil.h"
#include "session/network.h"

namespace steep::bind {

using NetworkPtr = std::shared_ptr<Network>;
using NamedArrays = std::vector<std::pair<std::string, py::array>>;

inline int parameter_index(const Graph& graph, const std::string& name) {
  const int index = graph.find_parameter(name);
  if (index < 0) refuse("no parameter named \"", name, "\"");
  return index;
}

// Of the weights, ...
inline Format format_of(const std::string& precision) {
  return precision == "float64" ? Format::Float64 : Format::Float32;
}
// ... and how they are multiplied.
inline Products products_of(const std::string& precision) {
  for (const Products p : {Products::Exact, Products::TF32, Products::BFloat16}) {
    if (precision == name_of(p)) return p;
  }
  if (precision == "float64") return Products::Exact;
  refuse("precision must be \"float32\", \"float64\", \"tf32\" or \"bfloat16\", got \"", precision,
         "\"");
}

inline const Device& device_of(const std::string& name, const std::string& precision) {
  if (name != "cpu" && name != "cuda") {
    refuse("device must be \"cpu\" or \"cuda\", got \"", name, "\"");
  }
  const Device& device = name == "cpu" ? cpu::device() : cuda::device();
  return device.multiplying(products_of(precision));
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
inline py::array fitting(const Parameter& p, const py::array& value, Format format) {
  py::array values = dense(value, format);
  const Shape got(values.shape(), values.shape() + values.ndim());
  if (got != p.shape) {
    refuse("parameter \"", p.name, "\" has shape ", text_of(p.shape), ", got ", text_of(got));
  }
  return values;
}

// Refuses data on the GPU for a network that is elsewhere.
inline void expect_reach(const HeldData& held, const Device& device) {
  if (held.on_device && device.memory() == nullptr) {
    refuse("data lie on the GPU, the network on the CPU: net.to(\"cuda\"), or copy the data");
  }
}

class PyNetwork : public std::enable_shared_from_this<PyNetwork> {
 public:
  PyNetwork(std::shared_ptr<Graph> graph, const std::string& precision, const std::string& device)
      : graph_(std::move(graph)), network_(std::make_shared<Network>(
                                      graph_, format_of(precision), device_of(device, precision))) {
  }
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
  const std::shared_ptr<Graph>& shared_graph() const { return graph_; }
  std::string precision() const {
    const NetworkPtr now = get();
    return now->format() == Format::Float64 ? "float64" : name_of(now->device().products());
  }

  std::string device() const { return &get()->device() == &cpu::device() ? "cpu" : "cuda"; }

  // The network of now. A part follows its whole into another precision and to another device.
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
  void convert(const std::string& precision, const std::string& device) {
    if (whole_) return whole_->convert(precision, device);
    if (precision == this->precision() && device == this->device()) return;
    const PyNetwork other(graph_, precision, device);
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
  // On the device where an input is.
  std::vector<Given> predict(const std::vector<Given>& inputs, long batch_size,
                             uint64_t seed) const {
    if (batch_size < 1) refuse("batch_size must be at least 1, got ", batch_size);
    const NetworkPtr n = get();
    const HeldData held = hold_inputs(*graph_, inputs);
    expect_reach(held, n->device());
    const long samples = held.data.samples;
    std::vector<Given> outs;
    std::vector<void*> places;
    for (const int o : graph_->outputs()) {
      Shape shape = graph_->tensor(o).shape;
      shape.insert(shape.begin(), samples);
      if (held.on_device) {
        outs.emplace_back(std::make_shared<DeviceArray>(shape, Number::Float32));
        places.push_back(std::get<DevicePtr>(outs.back())->data());
      } else {
        outs.emplace_back(empty(n->format(), shape));
        places.push_back(std::get<py::array>(outs.back()).mutable_data());
      }
    }
    if (samples == 0) return outs;
    heedful([&](Halt& halt) {
      const Inside looking(n->weights()->gate(), Inside::kRead, &halt);
      if (looking) n->predict(held.data, std::min(batch_size, samples), seed, places, halt);
      return true;
    });
    return outs;
  }
  // Copies of all weights in the memory of the device.
  std::vector<DevicePtr> values_on_device() const {
    const NetworkPtr n = get();
    if (n->device().memory() == nullptr) refuse("the weights are on the CPU");
    std::vector<DevicePtr> all;
    for (const Parameter& p : graph_->parameters()) {
      all.push_back(std::make_shared<DeviceArray>(p.shape, Number::Float32));
    }
    const Released released;
    const Inside looking(n->weights()->gate(), Inside::kRead);
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i]->size() > 0) n->weights()->get(0, static_cast<int>(i), all[i]->data());
    }
    return all;
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

}  // namespace steep::bind
