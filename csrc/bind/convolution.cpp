// Python's view of Convolution: plain arrays in, plain arrays out.
#include "backend/cpu/convolution.h"

#include "base/error.h"
#include "bind/arrays.h"

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
  if (batch < 1) refuse("batch must be at least 1, got ", batch);
  const int weight =
      graph.parameter("weight", {kernel[0], kernel[1], channels / groups, filters}, true);
  graph.conv2d(x, weight, -1, stride, padding, dilation, groups);
  return {graph.ops().back().window, filters, groups, batch};
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

}  // namespace

void bind_convolution(py::module_& m) {
  using py::arg;
  py::class_<Convolution>(m, "Convolution")
      .def(py::init(&make), arg("height"), arg("width"), arg("channels"), arg("filters"),
           arg("kernel"), arg("stride") = Pair{1, 1}, arg("padding") = Padding{},
           arg("dilation") = Pair{1, 1}, arg("groups") = 1, arg("batch") = 1)
      .def(
          "forward",
          [](Convolution& c, const Images& x, const Images& w, Images& y) {
            expect("x", x, x_shape(c));
            expect("w", w, w_shape(c));
            expect("y", y, y_shape(c));
            float* to = y.mutable_data();
            const py::gil_scoped_release release;
            c.forward(x.data(), w.data(), to);
          },
          arg("x").noconvert(), arg("w").noconvert(), arg("y").noconvert())
      .def(
          "backward_data",
          [](Convolution& c, const Images& dy, const Images& w, Images& dx) {
            expect("dy", dy, y_shape(c));
            expect("w", w, w_shape(c));
            expect("dx", dx, x_shape(c));
            float* to = dx.mutable_data();
            const py::gil_scoped_release release;
            c.backward_data(dy.data(), w.data(), to);
          },
          arg("dy").noconvert(), arg("w").noconvert(), arg("dx").noconvert())
      .def(
          "backward_weights",
          [](Convolution& c, const Images& x, const Images& dy, Images& dw) {
            expect("x", x, x_shape(c));
            expect("dy", dy, y_shape(c));
            expect("dw", dw, w_shape(c));
            float* to = dw.mutable_data();
            const py::gil_scoped_release release;
            c.backward_weights(x.data(), dy.data(), to);
          },
          arg("x").noconvert(), arg("dy").noconvert(), arg("dw").noconvert());
}

}  // namespace steep::bind
