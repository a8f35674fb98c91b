// The shape rule of every forward op, and the messages for what does not fit.
#include "graph/graph.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "graph/names.h"

namespace steep {

std::string text_of(const Shape& shape) {
  std::string out = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    out += (i ? ", " : "") + std::to_string(shape[i]);
  }
  return out + (shape.size() == 1 ? ",)" : ")");
}

std::string Graph::where() const { return layer_.empty() ? "" : layer_ + ": "; }

const Tensor& Graph::tensor(int id) const {
  if (id < 0 || id >= static_cast<int>(tensors_.size())) {
    refuse(where(), "no tensor ", id, " in this graph; tensors of two networks cannot be mixed");
  }
  return tensors_[id];
}

const Parameter& Graph::parameter_of(int id) const {
  if (id < 0 || id >= static_cast<int>(parameters_.size())) {
    refuse(where(), "no parameter ", id, " in this graph");
  }
  return parameters_[id];
}

const Tensor& Graph::flat(int x, const char* what) const {
  const Tensor& t = tensor(x);
  if (t.shape.size() != 1) {
    refuse(where(), what, " expects one axis, got ", text_of(t.shape),
           ". Put Flatten() before it.");
  }
  return t;
}

void Graph::check_axis(long size, const char* what) const {
  if (size >= kMostAxis) refuse(where(), what, " must be below 2^31, got ", size);
}

// Elements of a sample or a parameter of this shape.
long Graph::checked_width(const Shape& shape) const {
  if (shape.empty() || *std::min_element(shape.begin(), shape.end()) < 1) {
    refuse(where(), "a shape needs at least one axis and every axis at least 1, got ",
           text_of(shape));
  }
  long width = 1;
  for (const long n : shape) {
    check_axis(n, "every axis of a shape");
    width = width > kMostElements / n ? kMostElements + 1 : width * n;
  }
  if (width > kMostElements) {
    refuse(where(), "a shape may have at most 2^40 elements, got ", text_of(shape));
  }
  return width;
}

int Graph::add_op(Op op, Shape shape) {
  const long width = checked_width(shape);
  op.out = static_cast<int>(tensors_.size());
  op.layer = layer_;
  op.recompute = block_;
  tensors_.push_back({std::move(shape), width});
  ops_.push_back(std::move(op));
  return ops_.back().out;
}

int Graph::input(const Shape& shape) {
  inputs_.push_back(add_op({.kind = Kind::Input, .in = {}}, shape));
  return inputs_.back();
}

int Graph::parameter(const std::string& name, const Shape& shape, bool decay, bool trained) {
  const std::size_t axes = shape.size();
  if ((axes != 1 && axes != 2 && axes != 4) || *std::min_element(shape.begin(), shape.end()) < 1) {
    refuse(where(), "parameter \"", name, "\" must have shape (n,), (in, out) or (height, width, ",
           "in, out), got ", text_of(shape));
  }
  checked_width(shape);
  const int index = static_cast<int>(parameters_.size());
  if (!by_name_.emplace(name, index).second) {
    refuse(where(), "two parameters are named \"", name, "\"");
  }
  parameters_.push_back({name, shape, decay && trained, trained});
  return index;
}

int Graph::find_parameter(const std::string& name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? -1 : at->second;
}

int Graph::matmul(int x, int weight, int bias) {
  const Tensor& t = flat(x, "a dense layer");
  const Shape& w = parameter_of(weight).shape;
  if (w.size() != 2 || w[0] != t.width) {
    refuse(where(), "input of ", t.width, " does not fit weights of shape ", text_of(w));
  }
  if (bias >= 0 && parameter_of(bias).shape != Shape{w[1]}) {
    refuse(where(), "bias must have shape (", w[1], ",), got ", text_of(parameter_of(bias).shape));
  }
  return add_op({.kind = Kind::MatMul, .in = {x}, .weight = weight, .bias = bias}, {w[1]});
}

int Graph::activation(int x, const std::string& kind, double alpha) {
  const int index = activation_index(kind);
  if (!std::isfinite(alpha)) refuse(where(), "alpha must be finite, got ", alpha);
  if (alpha < 0 && !activation_reads_input(index)) {
    refuse(where(), kind, " expects alpha of at least 0, got ", alpha,
           ": its derivative is found from its output, which then tells no side from the other");
  }
  return add_op({.kind = Kind::Activation, .in = {x}, .activation = index, .alpha = alpha},
                tensor(x).shape);
}

int Graph::binary(Kind kind, int a, int b, const char* what) {
  if (tensor(a).shape != tensor(b).shape) {
    refuse(where(), what, " expects equal shapes, got ", text_of(tensor(a).shape), " and ",
           text_of(tensor(b).shape));
  }
  return add_op({.kind = kind, .in = {a, b}}, tensor(a).shape);
}

int Graph::affine(int x, double scale, double shift) {
  return add_op({.kind = Kind::Affine, .in = {x}, .scale = scale, .shift = shift}, tensor(x).shape);
}

int Graph::affine_channels(int x, const std::vector<double>& scales,
                           const std::vector<double>& shifts) {
  const Shape& shape = tensor(x).shape;
  const auto channels = static_cast<std::size_t>(shape.back());
  if (scales.size() != channels || shifts.size() != channels) {
    refuse(where(), "expects numbers for ", channels, " channels, got ", scales.size());
  }
  return add_op({.kind = Kind::Affine, .in = {x}, .scales = scales, .shifts = shifts}, shape);
}

int Graph::row(Kind kind, int x, int parameter, const char* what) {
  const Tensor& t = flat(x, what);
  if (parameter_of(parameter).shape != Shape{t.width}) {
    refuse(where(), what, " expects a parameter of shape (", t.width, ",), got ",
           text_of(parameter_of(parameter).shape));
  }
  return add_op({.kind = kind, .in = {x}, .weight = parameter}, t.shape);
}

int Graph::concat(const std::vector<int>& tensors) {
  if (tensors.empty()) refuse(where(), "concat expects at least one tensor");
  Shape shape = tensor(tensors[0]).shape;
  const Shape first = shape;
  shape.back() = 0;
  for (const int x : tensors) {
    const Shape& other = tensor(x).shape;
    if (other.size() != first.size() ||
        !std::equal(first.begin(), first.end() - 1, other.begin())) {
      refuse(where(), "concat expects equal shapes but for the last axis, got ", text_of(first),
             " and ", text_of(other));
    }
    shape.back() += other.back();
  }
  return add_copies(tensors, shape, checked_width(shape) / shape.back());
}

int Graph::add_copies(const std::vector<int>& tensors, Shape shape, long pixels) {
  const int out = static_cast<int>(tensors_.size());
  tensors_.push_back({shape, checked_width(shape)});
  long to = 0;
  for (const int x : tensors) {
    const long columns = tensors_[x].shape.back();
    ops_.push_back({.kind = Kind::CopyColumns,
                    .in = {x},
                    .out = out,
                    .to = to,
                    .columns = columns,
                    .pixels = pixels,
                    .recompute = block_,
                    .layer = layer_});
    to += columns;
  }
  return out;
}

int Graph::reshape(int x, const Shape& shape) {
  if (checked_width(shape) != tensor(x).width) {
    refuse(where(), "cannot reshape ", text_of(tensor(x).shape), " into ", text_of(shape));
  }
  return add_op({.kind = Kind::Alias, .in = {x}}, shape);
}

int Graph::softmax(int x) {
  return add_op({.kind = Kind::Softmax, .in = {x}}, flat(x, "softmax").shape);
}

int Graph::dropout(int x, double rate, bool redraw_epoch, bool scale_at_test) {
  constexpr double kLeastKept = 0x1p-24;  // words of 32 bits still tell that to 8 bits
  if (!(rate >= 0 && rate < 1)) refuse(where(), "dropout rate must be in [0, 1), got ", rate);
  if (1 - rate < kLeastKept) {
    refuse(where(), "dropout rate must be at most 1 - 2^-24, got 1 - ", 1 - rate);
  }
  return add_op({.kind = Kind::Dropout,
                 .in = {x},
                 .rate = rate,
                 .stream = dropouts_++,
                 .redraw_epoch = redraw_epoch,
                 .scale_at_test = scale_at_test},
                tensor(x).shape);
}

void Graph::output(const std::vector<int>& tensors) {
  for (const int x : tensors) tensor(x);
  outputs_ = tensors;
}

}  // namespace steep
