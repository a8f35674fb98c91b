// Adding ops and parameters, and the messages for what does not fit any op. Shape rules are the ops'.
#include "graph/graph.h"

#include <algorithm>
#include <cmath>

namespace steep {

const Tensor& Graph::tensor(int id) const {
  if (id < 0 || id >= static_cast<int>(tensors_.size())) {
    refuse(where(), "no tensor ", id, " in this graph; tensors of two networks cannot be mixed");
  }
  return tensors_[id];
}

// Elements of a sample or a parameter of this shape.
long Graph::checked_width(const Shape& shape) const {
  if (shape.empty() || *std::min_element(shape.begin(), shape.end()) < 1) {
    refuse(where(), "a shape needs at least one axis and every axis at least 1, got ",
           text_of(shape));
  }
  long width = 1;
  for (const long n : shape) {
    if (n >= kMostAxis) refuse(where(), "every axis of a shape must be below 2^31, got ", n);
    width = width > kMostElements / n ? kMostElements + 1 : width * n;
  }
  if (width > kMostElements) {
    refuse(where(), "a shape may have at most 2^40 elements, got ", text_of(shape));
  }
  return width;
}

int Graph::new_tensor(const Shape& shape) {
  tensors_.push_back({.shape = shape, .width = checked_width(shape)});
  return static_cast<int>(tensors_.size()) - 1;
}

void Graph::push(Op op) {
  op.layer = layer_;
  op.recompute = block_;
  ops_.push_back(std::move(op));
}

int Graph::input(const Shape& shape) {
  const int number = static_cast<int>(inputs_.size());
  inputs_.push_back(new_tensor(shape));
  push({.what = ops::Input{.number = number}, .out = inputs_.back()});
  return inputs_.back();
}

int Graph::target(const Shape& shape, int number) {
  const int tensor = new_tensor(shape);
  push({.what = ops::Input{.number = number, .target = true}, .out = tensor});
  return tensor;
}

int Graph::parameter(const std::string& name, const Shape& shape, bool decay, bool trained) {
  const std::size_t axes = shape.size();
  if (axes < 1 || axes > 4 || *std::min_element(shape.begin(), shape.end()) < 1) {
    refuse(where(), "parameter \"", name, "\" must have shape (n,), (in, out), (length, in, out) ",
           "or (height, width, in, out), got ", text_of(shape));
  }
  checked_width(shape);
  const int index = static_cast<int>(parameters_.size());
  if (!by_name_.emplace(name, index).second) {
    refuse(where(), "two parameters are named \"", name, "\"");
  }
  parameters_.push_back({name, shape, decay && trained, trained});
  return index;
}

void Graph::constrain(int parameter, const std::string& kind, double limit) {
  using Kind = Bound::Kind;
  static const std::unordered_map<std::string, Kind> kinds{{"clip", Kind::Clip},
                                                           {"non_negative", Kind::NonNegative},
                                                           {"max_norm", Kind::MaxNorm},
                                                           {"unit_norm", Kind::UnitNorm}};
  const auto found = kinds.find(kind);
  if (found == kinds.end()) refuse(where(), "no constraint is called \"", kind, "\"");
  const bool limited = found->second == Kind::Clip || found->second == Kind::MaxNorm;
  if (limited && !(limit > 0 && std::isfinite(limit))) {
    refuse(where(), kind, " expects a limit above 0, got ", limit);
  }
  checked(parameter).bound = {found->second, limit};
}

Parameter& Graph::checked(int parameter) {
  if (parameter < 0 || parameter >= static_cast<int>(parameters_.size())) {
    refuse(where(), "no parameter ", parameter, " in this graph");
  }
  return parameters_[parameter];
}

int Graph::find_parameter(const std::string& name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? -1 : at->second;
}

int Graph::add(ops::Attributes what, const std::vector<int>& in,
               const std::vector<int>& parameters) {
  std::vector<const Shape*> shapes, weights;
  for (const int x : in) shapes.push_back(&tensor(x).shape);
  for (const int p : parameters) weights.push_back(&checked(p).shape);
  const Given given(where(), std::move(shapes), std::move(weights), draws_);
  const Shape shape = std::visit(
      [&](auto& op) -> Shape {
        if constexpr (requires { op.shape(given); }) return op.shape(given);
        given.refuse("no network may ask for a step of a gradient");
      },
      what);
  const int out = new_tensor(shape);
  push({.what = std::move(what), .in = in, .parameters = parameters, .out = out});
  return out;
}

int Graph::concat(const std::vector<int>& tensors, long axis) {
  if (tensors.empty()) refuse(where(), "concat expects at least one tensor");
  Shape shape = tensor(tensors[0]).shape;
  const long axes = static_cast<long>(shape.size()), along = axis < 0 ? axis + axes : axis;
  if (along < 0 || along >= axes) {
    refuse(where(), "concat expects an axis of ", text_of(shape), ", got ", axis);
  }
  const auto without = [along](Shape s) {
    s.erase(s.begin() + along);
    return s;
  };
  const Shape first = shape;
  shape[along] = 0;
  for (const int x : tensors) {
    const Shape& other = tensor(x).shape;
    if (other.size() != first.size() || without(other) != without(first)) {
      refuse(where(), "concat expects equal shapes but for the ",
             along + 1 == axes ? "last axis" : text("axis ", along), ", got ", text_of(first),
             " and ", text_of(other));
    }
    shape[along] += other[along];
  }
  const int out = new_tensor(shape);
  const Shape outer(shape.begin(), shape.begin() + along);
  const long pixels = elements_of(outer);
  long to = 0;
  for (const int x : tensors) {
    const long columns = tensors_[x].width / pixels;
    push({.what = ops::CopyColumns{0, to, columns, pixels}, .in = {x}, .out = out});
    to += columns;
  }
  return out;
}

void Graph::output(const std::vector<int>& tensors) {
  for (const int x : tensors) tensor(x);
  outputs_ = tensors;
}

}  // namespace steep
