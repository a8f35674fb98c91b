// Conversions between arrays of users and the core's views. Whoever holds a view holds the array.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "base/format.h"
#include "bind/device_array.h"
#include "data/batcher.h"
#include "graph/graph.h"

namespace steep::bind {

namespace py = pybind11;

// An array of NumPy, or one in the memory of the GPU.
using Given = std::variant<py::array, DevicePtr>;
Shape shape_of(const Given& a);
inline bool on_device(const Given& a) { return std::holds_alternative<DevicePtr>(a); }

// A data set and the Python objects its pointers lie in.
struct HeldData {
  Dataset data;
  std::vector<py::object> held;
  bool on_device = false;  // some of it: only a device that has memory of its own reads it
};

// What an array of targets has: so many values a sample, or labels below `classes`; none for 0. Labels
// (N, ...) of positions and their weights are read where they lie.
struct TargetKind {
  long width = 0, classes = 0;
  long columns = 0;          // of the last axis: width/columns positions
  bool by_position = false;  // the loss takes each for itself, whatever the targets are
  long ignored = kNoLabel;   // the label of what does not count
  int weights = -1;          // which array of sample weights
};
// Samples as Python gives them: an array for each input, for each kind of target (integers are labels,
// floats are values), and of the samples' weights.
using Weights = std::vector<std::optional<py::array>>;
HeldData hold(const Graph& graph, const std::vector<TargetKind>& kinds,
              const std::vector<Given>& inputs, const std::vector<Given>& targets,
              const Weights& weights);
// For Session.set_data: flip, shift, cutout, and one pixel to fill with.
using AugmentSettings = std::tuple<bool, long, long, std::vector<double>>;
// Inputs must be held already; they are changed only where this is called.
void augment(HeldData& held, const std::vector<Given>& inputs, const AugmentSettings& settings);
HeldData hold_inputs(const Graph& graph, const std::vector<Given>& inputs);

template <class T>
using Dense = py::array_t<T, py::array::c_style | py::array::forcecast>;

// Equal, not the same object: arrays that were pickled bring types of their own.
template <class T> bool holds(const py::dtype& type) { return type.equal(py::dtype::of<T>()); }

template <class T>
bool aligned(const py::array& a) {
  return reinterpret_cast<std::uintptr_t>(a.data()) % alignof(T) == 0;
}

// The array as contiguous, aligned T: itself where it is that already, else a copy.
template <class T>
Dense<T> dense(const py::array& a) {
  Dense<T> out(a);
  return aligned<T>(out) ? out : Dense<T>(out.attr("copy")());
}

std::optional<Format> format_of(const py::array& a);  // where the core knows it
bool is_real(const py::array& a);                     // float32 or float64
// The same in a format of the core.
py::array dense(const py::array& a, Format format);
py::array empty(Format format, const Shape& shape);

// How many labels (N, ...) count, -1, -1; or 0, sample and position of the first that is no class.
py::tuple count_positions(const py::array& labels, long classes, std::optional<long> ignored);

// The array as it is, seen as samples of its first axis.
Source view_of(const py::array& a, const char* what);
Source view_of(const Given& a, const char* what);

std::vector<py::ssize_t> shape_of(const Shape& shape);

void bind_graph(py::module_& m);
void bind_network(py::module_& m);
void bind_recipe(py::module_& m);
void bind_objective(py::module_& m);  // after the recipe
void bind_session(py::module_& m);    // after the network and the objective
void bind_kernels(py::module_& m);
void bind_convolution(py::module_& m);
void bind_skip_gram(py::module_& m);

}  // namespace steep::bind
