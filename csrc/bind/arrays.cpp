// Reads shapes, strides and types of arrays.
#include "bind/arrays.h"

#include <functional>
#include <numeric>

#include "base/error.h"

namespace steep::bind {

namespace {

std::vector<long> sizes(const py::array& a) { return {a.shape(), a.shape() + a.ndim()}; }
std::vector<long> strides(const py::array& a) { return {a.strides(), a.strides() + a.ndim()}; }

const py::array& on_host(const Given& a) { return std::get<py::array>(a); }

Source source(HeldData& held, const Given& a, const char* what) {
  held.held.push_back(on_device(a) ? py::cast(std::get<DevicePtr>(a)) : py::object(on_host(a)));
  held.on_device |= on_device(a);
  return view_of(a, what);
}

long size_of(const Given& a) {
  const Shape shape = shape_of(a);
  return std::accumulate(shape.begin(), shape.end(), 1L, std::multiplies<>());
}

}  // namespace

std::optional<Format> format_of(const py::array& a) {
  if (holds<float>(a.dtype())) return Format::Float32;
  if (holds<double>(a.dtype())) return Format::Float64;
  if (holds<uint8_t>(a.dtype())) return Format::UInt8;
  if (holds<uint16_t>(a.dtype())) return Format::UInt16;
  if (holds<int32_t>(a.dtype())) return Format::Int32;
  if (holds<int64_t>(a.dtype())) return Format::Int64;
  return std::nullopt;
}

bool is_real(const py::array& a) { return holds<float>(a.dtype()) || holds<double>(a.dtype()); }

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
    throw py::type_error(
        text(what, ": expects float32, float64, uint8, uint16, int32 or int64, got dtype ",
             py::str(a.dtype()).cast<std::string>()));
  }
  if (a.ndim() == 0) return Source::of(a.data(), *format, {1}, {a.itemsize()});
  return Source::of(a.data(), *format, sizes(a), strides(a));
}

Shape shape_of(const Given& a) {
  if (on_device(a)) return std::get<DevicePtr>(a)->shape();
  return sizes(on_host(a));
}

Source view_of(const Given& a, const char* what) {
  return on_device(a) ? std::get<DevicePtr>(a)->source() : view_of(on_host(a), what);
}

HeldData hold_inputs(const Graph& graph, const std::vector<Given>& inputs) {
  if (inputs.size() != graph.inputs().size()) {
    refuse("network has ", graph.inputs().size(), " inputs, got ", inputs.size(), " arrays");
  }
  HeldData out;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Shape expected = graph.tensor(graph.inputs()[i]).shape, whole = shape_of(inputs[i]);
    const Shape got(whole.begin() + std::min<long>(1, static_cast<long>(whole.size())),
                    whole.end());
    if (whole.empty() || got != expected) {
      refuse("input ", i, ": expects samples of shape ", text_of(expected), ", got ", text_of(got));
    }
    if (i > 0 && whole[0] != out.data.samples) {
      refuse("input ", i, " has ", whole[0], " samples, input 0 has ", out.data.samples);
    }
    out.data.inputs.push_back(source(out, inputs[i], "input"));
    out.data.samples = whole[0];
  }
  return out;
}

void augment(HeldData& held, const std::vector<Given>& inputs, const AugmentSettings& settings) {
  const auto& [flip, shift, cutout, fill] = settings;
  if (inputs.size() != 1) refuse("augment: takes one input, got ", inputs.size());
  const Shape shape = shape_of(inputs[0]);
  if (shape.size() != 3 && shape.size() != 4) {
    refuse("augment: expects samples of shape (H, W) or (H, W, C), got ", shape.size() - 1,
           " axes");
  }
  const Source& s = held.data.inputs[0];
  const auto steps = std::visit(
      [](const auto& a) {
        if constexpr (requires { a->strides(); }) {
          return a->strides();
        } else {
          return strides(a);
        }
      },
      inputs[0]);
  const Images images = Images::of(s.data, s.format, shape, steps);
  if (static_cast<long>(fill.size()) != images.channels || shift < 0 || cutout < 0 ||
      shift >= std::min(images.height, images.width)) {
    refuse("augment: expects fill of ", images.channels,
           " numbers, shift of at least 0 and less than the image, cutout of at least 0");
  }
  held.data.augment.emplace(flip, shift, cutout, fill, images);
}

namespace {

bool whole_numbers(const py::array& a) {
  return a.dtype().kind() == 'i' || a.dtype().kind() == 'u';
}
bool whole_numbers(const Given& a) {
  return on_device(a) ? std::get<DevicePtr>(a)->whole() : whole_numbers(on_host(a));
}

// Labels as they lie, where the core reads their type; else a copy.
Source labels_of(HeldData& held, const py::array& a) {
  const bool i32 = holds<int32_t>(a.dtype()), u8 = holds<uint8_t>(a.dtype());
  const bool known = i32 || u8 || holds<int64_t>(a.dtype());
  const py::array labels = known ? a : py::array(dense<int64_t>(a));
  held.held.push_back(labels);
  return Source::of(labels.data(),
                    i32  ? Format::Int32
                    : u8 ? Format::UInt8
                         : Format::Int64,
                    sizes(labels), strides(labels));
}

// Of positions, or of samples: then a sample's positions have the same.
Source weights_of(HeldData& held, const py::array& a, long samples, long positions) {
  if (a.ndim() == 1 && positions > 1) {
    Source of = source(held, dense<double>(a), "sample_weight");
    of.shape = {positions};
    of.strides = {0};
    return of;
  }
  if (a.size() != samples * positions) {
    refuse("sample_weight must have ", positions, " values a sample, got ", a.size() / samples);
  }
  const std::optional<Format> format = format_of(a);
  const bool known = format == Format::Float32 || format == Format::Float64;
  return source(held, known ? a : py::array(dense<double>(a)), "sample_weight");
}

const double* keep(HeldData& held, const std::vector<double>& values) {
  const Dense<double> kept(static_cast<py::ssize_t>(values.size()), values.data());
  held.held.push_back(kept);
  return kept.data();
}

void count_all(HeldData& held, Positions& of) {
  const Counted counted = count(of, held.data.samples);
  of.counts = keep(held, counted.counts);
  of.sums = keep(held, counted.weights);
}

// Targets that a loss takes position by position.
Targets hold_positions(HeldData& held, const TargetKind& kind, const Given& given,
                       const std::optional<py::array>& weights) {
  const long samples = held.data.samples;
  Targets out;
  Positions& of = out.positions;
  of.each = kind.width / kind.columns;
  of.classes = std::max(2L, kind.columns);
  of.ignored = kind.ignored;
  if (whole_numbers(given)) {
    if (size_of(given) != samples * of.each) {
      refuse("targets must have ", of.each, " labels a sample, got ", size_of(given) / samples);
    }
    if (on_device(given)) refuse("labels of positions are counted by the host; give it a copy");
    of.labels = labels_of(held, on_host(given));
    if (Misfit at; find_misfit(of, samples, at)) {
      refuse("target ", at.sample, ", position ", at.position, ": label ", at.label,
             " is outside 0..", of.classes - 1);
    }
  } else {
    out.values = source(held, given, "targets");
  }
  if (weights) of.weights = weights_of(held, *weights, samples, of.each);
  count_all(held, of);
  return out;
}

// Weights of positions for losses that are sums: their targets, if any, are tensors.
Positions hold_weights(HeldData& held, const py::array& given) {
  Positions of;
  of.each = given.size() / held.data.samples;
  of.weights = weights_of(held, given, held.data.samples, of.each);
  count_all(held, of);
  return of;
}

// A copy of our own: they choose places in memory, and the user's may change after this check.
Targets hold_labels(HeldData& held, long classes, const Given& given) {
  const long samples = held.data.samples;
  if (on_device(given)) {
    const DevicePtr labels = std::get<DevicePtr>(given)->labels();
    if (const long at = labels->first_unwanted({0.0, static_cast<double>(classes - 1)}); at >= 0) {
      refuse("target ", at, ": label ", labels->value(at), " is outside 0..", classes - 1);
    }
    held.on_device = true;
    held.data.on_device.push_back(labels->memory());
    return {.labels = reinterpret_cast<const int32_t*>(labels->data()), .on_device = true};
  }
  const Dense<int32_t> labels(dense<int32_t>(on_host(given)).attr("copy")());
  for (long i = 0; i < samples; ++i) {
    if (labels.data()[i] < 0 || labels.data()[i] >= classes) {
      refuse("target ", i, ": label ", labels.data()[i], " is outside 0..", classes - 1);
    }
  }
  held.held.push_back(labels);
  return {.labels = labels.data()};
}

Targets hold_targets(HeldData& held, const TargetKind& kind, const Given& given,
                     const std::optional<py::array>& weights) {
  const long samples = held.data.samples;
  const Shape shape = shape_of(given);
  if (shape.empty() || shape[0] != samples) {
    refuse("inputs have ", samples, " samples, targets ", shape.empty() ? 0 : shape[0]);
  }
  const bool labelled = whole_numbers(given);
  if (!labelled && size_of(given) != samples * kind.width) {
    refuse("targets must have ", kind.width, " values a sample, got ", size_of(given) / samples);
  }
  if (kind.classes > 0 &&
      ((kind.by_position && kind.width > kind.columns) || (weights && weights->ndim() > 1) ||
       (labelled && (shape.size() > 1 || kind.ignored != kNoLabel)))) {
    return hold_positions(held, kind, given, weights);
  }
  if (!labelled) return {.values = source(held, given, "targets")};
  if (shape.size() != 1 || kind.classes == 0) {
    refuse("integer targets must have shape (N,), and their loss take labels");
  }
  return hold_labels(held, kind.classes, given);
}

}  // namespace

HeldData hold(const Graph& graph, const std::vector<TargetKind>& kinds,
              const std::vector<Given>& inputs, const std::vector<Given>& targets,
              const Weights& weights) {
  HeldData out = hold_inputs(graph, inputs);
  const long samples = out.data.samples;
  if (samples == 0) refuse("no samples");
  if (targets.size() != kinds.size()) {
    refuse("the losses have ", kinds.size(), " arrays of targets, got ", targets.size());
  }
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const int of = kinds[i].weights;
    const bool weighted = of >= 0 && of < static_cast<int>(weights.size());
    out.data.targets.push_back(
        hold_targets(out, kinds[i], targets[i], weighted ? weights[of] : std::nullopt));
  }
  for (const std::optional<py::array>& given : weights) {
    out.data.weights.push_back(nullptr);
    out.data.weighed.emplace_back();
    if (given && given->ndim() > 1) out.data.weighed.back() = hold_weights(out, *given);
    if (!given || given->ndim() > 1) continue;
    Dense<double> w = dense<double>(*given);
    if (w.ndim() != 1 || w.shape(0) != samples) refuse("sample_weight must have shape (N,)");
    out.data.weights.back() = w.data();
    out.held.push_back(w);
  }
  return out;
}

py::tuple count_positions(const py::array& labels, long classes, std::optional<long> ignored) {
  if (labels.ndim() < 1 || !whole_numbers(labels)) refuse("labels are whole numbers (N, ...)");
  HeldData held;
  Positions of;
  const long samples = labels.shape(0);
  of.each = samples == 0 ? 0 : labels.size() / samples;
  of.labels = labels_of(held, labels);
  of.classes = classes;
  of.ignored = ignored.value_or(kNoLabel);
  Misfit at{-1, -1, 0};
  if (find_misfit(of, samples, at)) return py::make_tuple(0, at.sample, at.position);
  const std::vector<double> counts = count(of, samples).counts;
  return py::make_tuple(static_cast<long>(std::accumulate(counts.begin(), counts.end(), 0.0)), -1,
                        -1);
}

}  // namespace steep::bind
