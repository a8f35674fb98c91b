// Reads shapes, strides and types of NumPy arrays.
#include "bind/arrays.h"

#include "base/error.h"

namespace steep::bind {

namespace {

std::vector<long> sizes(const py::array& a) { return {a.shape(), a.shape() + a.ndim()}; }
std::vector<long> strides(const py::array& a) { return {a.strides(), a.strides() + a.ndim()}; }

Source source(HeldData& held, const py::array& a, const char* what) {
  held.held.push_back(a);
  return view_of(a, what);
}

}  // namespace

std::optional<Format> format_of(const py::array& a) {
  if (holds<float>(a.dtype())) return Format::Float32;
  if (holds<double>(a.dtype())) return Format::Float64;
  if (holds<uint8_t>(a.dtype())) return Format::UInt8;
  return std::nullopt;
}

std::vector<py::ssize_t> shape_of(const Shape& shape) { return {shape.begin(), shape.end()}; }

py::array dense(const py::array& a, Format format) {
  if (format == Format::Float64) return dense<double>(a);
  return dense<float>(a);
}

py::array empty(Format format, const Shape& shape) {
  const bool twice = format == Format::Float64;
  return {twice ? py::dtype::of<double>() : py::dtype::of<float>(), shape_of(shape)};
}

Source view_of(const py::array& a, const char* what) {
  const std::optional<Format> format = format_of(a);
  if (!format) {
    throw py::type_error(text(what, ": expects float32, float64 or uint8, got dtype ",
                              py::str(a.dtype()).cast<std::string>()));
  }
  if (a.ndim() == 0) return Source::of(a.data(), *format, {1}, {a.itemsize()});
  return Source::of(a.data(), *format, sizes(a), strides(a));
}

HeldData hold_inputs(const Graph& graph, const std::vector<py::array>& inputs) {
  if (inputs.size() != graph.inputs().size()) {
    refuse("network has ", graph.inputs().size(), " inputs, got ", inputs.size(), " arrays");
  }
  HeldData out;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const py::array& a = inputs[i];
    Shape expected = graph.tensor(graph.inputs()[i]).shape;
    Shape got(a.shape() + std::min<py::ssize_t>(1, a.ndim()), a.shape() + a.ndim());
    if (a.ndim() < 1 || got != expected) {
      refuse("input ", i, ": expects samples of shape ", text_of(expected), ", got ", text_of(got));
    }
    if (i > 0 && a.shape(0) != inputs[0].shape(0)) {
      refuse("input ", i, " has ", a.shape(0), " samples, input 0 has ", inputs[0].shape(0));
    }
    out.data.inputs.push_back(source(out, a, "input"));
    out.data.samples = a.shape(0);
  }
  return out;
}

void augment(HeldData& held, const std::vector<py::array>& inputs,
             const AugmentSettings& settings) {
  const auto& [flip, shift, cutout, fill] = settings;
  if (inputs.size() != 1) refuse("augment: takes one input, got ", inputs.size());
  const py::array& a = inputs[0];
  if (a.ndim() != 3 && a.ndim() != 4) {
    refuse("augment: expects samples of shape (H, W) or (H, W, C), got ", a.ndim() - 1, " axes");
  }
  const Images images = Images::of(a.data(), *format_of(a), sizes(a), strides(a));
  if (static_cast<long>(fill.size()) != images.channels || shift < 0 || cutout < 0 ||
      shift >= std::min(images.height, images.width)) {
    refuse("augment: expects fill of ", images.channels,
           " numbers, shift of at least 0 and less than the image, cutout of at least 0");
  }
  held.data.augment.emplace(flip, shift, cutout, fill, images);
}

HeldData hold(const Graph& graph, const std::vector<py::array>& inputs, const py::array& targets,
              const std::optional<py::array>& weights) {
  HeldData out = hold_inputs(graph, inputs);
  const long samples = out.data.samples;
  if (samples == 0) refuse("no samples");
  if (targets.ndim() < 1 || targets.shape(0) != samples) {
    refuse("inputs have ", samples, " samples, targets ", targets.ndim() ? targets.shape(0) : 0);
  }
  const long width = graph.tensor(graph.outputs()[0]).width;
  if (targets.dtype().kind() == 'i' || targets.dtype().kind() == 'u') {
    if (targets.ndim() != 1) refuse("integer targets must have shape (N,)");
    // A copy of our own: they choose places in memory, and the user's may change after this check.
    Dense<int32_t> labels(dense<int32_t>(targets).attr("copy")());
    const long classes = std::max(2L, width);
    for (long i = 0; i < samples; ++i) {
      if (labels.data()[i] < 0 || labels.data()[i] >= classes) {
        refuse("target ", i, ": label ", labels.data()[i], " is outside 0..", classes - 1);
      }
    }
    out.data.labels = labels.data();
    out.held.push_back(labels);
  } else {
    if (targets.size() != samples * width) {
      refuse("targets must have ", width, " values a sample, got ", targets.size() / samples);
    }
    out.data.targets = source(out, targets, "targets");
  }
  if (weights) {
    Dense<double> w = dense<double>(*weights);
    if (w.ndim() != 1 || w.shape(0) != samples) refuse("sample_weight must have shape (N,)");
    out.data.weights = w.data();
    out.held.push_back(w);
  }
  return out;
}

}  // namespace steep::bind
