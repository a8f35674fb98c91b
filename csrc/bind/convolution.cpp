// Python's view of Convolution: plain arrays in, plain arrays out.
#include "cpu/conv/convolution.h"

#include "base/error.h"
#include "bind/arrays.h"
#include "bind/gil.h"

namespace steep::bind {

namespace {

using Images = py::array_t<float, py::array::c_style>;

Convolution make(long height, long width, long channels, long filters, Pair kernel, Pair stride,
                 const Padding& padding, Pair dilation, long groups, long batch) {
  Graph graph;  // knows what fits together
  const int x = graph.input({height, width, channels});
  if (groups < 1 || channels % groups != 0) {
    refuse("groups must divide the ", channels, " channels, got ", groups);
  }
  if (batch < 1 || batch >= kMostAxis) refuse("batch must be in [1, 2^31), got ", batch);
  const int weight =
      graph.parameter("weight", {kernel[0], kernel[1], channels / groups, filters}, true);
  ops::Conv conv;
  conv.stride = stride;
  conv.padding = padding;
  conv.dilation = dilation;
  conv.groups = groups;
  const Tensor& y = graph.tensor(graph.add(conv, {x}, {weight}));
  const double largest = static_cast<double>(std::max(graph.tensor(x).width, y.width));
  if (largest * static_cast<double>(batch) > static_cast<double>(kMostElements)) {
    refuse("a batch of ", batch, " images may have at most 2^40 elements, got ",
           largest * static_cast<double>(batch));
  }
  return {graph.ops().back().as<ops::Conv>()->window, filters, groups, batch};
}

void expect(const char* name, const Images& array, const Shape& shape) {
  const Shape got(array.shape(), array.shape() + array.ndim());
  if (got != shape) refuse(name, " must have shape ", text_of(shape), ", got ", text_of(got));
}

Shape x_shape(const Convolution& c) {
  const Window& w = c.window();
  return {c.batch(), w.in[0], w.in[1], w.channels};
}
Shape y_shape(const Convolution& c) {
  return {c.batch(), c.window().out[0], c.window().out[1], c.filters()};
}
Shape w_shape(const Convolution& c) {
  const Window& w = c.window();
  return {w.kernel[0], w.kernel[1], w.channels / c.groups(), c.filters()};
}

using ShapeOf = Shape (*)(const Convolution&);
using Pass = void (Convolution::*)(const float*, const float*, float*);

struct Operand {
  const char* name;
  ShapeOf shape;
};

void add_pass(py::class_<Convolution>& to, const char* name, Operand a, Operand b, Operand out,
              Pass pass) {
  using py::arg;
  to.def(
      name,
      [=](Convolution& c, const Images& first, const Images& second, Images& result) {
        expect(a.name, first, a.shape(c));
        expect(b.name, second, b.shape(c));
        expect(out.name, result, out.shape(c));
        float* values = result.mutable_data();
        const Released released;
        (c.*pass)(first.data(), second.data(), values);
      },
      arg(a.name).noconvert(), arg(b.name).noconvert(), arg(out.name).noconvert());
}

}  // namespace

void bind_convolution(py::module_& m) {
  using py::arg;
  py::class_<Convolution> c(m, "Convolution");
  c.def(py::init(&make), arg("height"), arg("width"), arg("channels"), arg("filters"),
        arg("kernel"), arg("stride") = Pair{1, 1}, arg("padding") = Padding{},
        arg("dilation") = Pair{1, 1}, arg("groups") = 1, arg("batch") = 1);
  add_pass(c, "forward", {"x", x_shape}, {"w", w_shape}, {"y", y_shape}, &Convolution::forward);
  add_pass(c, "backward_data", {"dy", y_shape}, {"w", w_shape}, {"dx", x_shape},
           &Convolution::backward_data);
  add_pass(c, "backward_weights", {"x", x_shape}, {"dy", y_shape}, {"dw", w_shape},
           &Convolution::backward_weights);
}

}  // namespace steep::bind
