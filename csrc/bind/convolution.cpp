// Python's view of one convolution by itself: plain arrays in, plain arrays out.
#include "base/error.h"
#include "bind/arrays.h"
#include "bind/gil.h"
#include "cpu.h"

namespace steep::bind {

namespace {

using Images = py::array_t<float, py::array::c_style>;

struct PyConvolution {
  PyConvolution(long height, long width, long channels, long filters, Pair kernel, Pair stride,
                const Padding& padding, Pair dilation, long groups, long batch) {
    Graph graph;  // knows what fits together
    const int in = graph.input({height, width, channels});
    if (groups < 1 || channels % groups != 0) {
      refuse("groups must divide the ", channels, " channels, got ", groups);
    }
    if (batch < 1 || batch >= kMostAxis) refuse("batch must be in [1, 2^31), got ", batch);
    w = {kernel[0], kernel[1], channels / groups, filters};
    const int weight = graph.parameter("weight", w, true);
    ops::Conv conv;
    conv.stride = stride;
    conv.padding = padding;
    conv.dilation = dilation;
    conv.groups = groups;
    const Tensor& out = graph.tensor(graph.add(conv, {in}, {weight}));
    const double largest = static_cast<double>(std::max(graph.tensor(in).width, out.width));
    if (largest * static_cast<double>(batch) > static_cast<double>(kMostElements)) {
      refuse("a batch of ", batch, " images may have at most 2^40 elements, got ",
             largest * static_cast<double>(batch));
    }
    x = {batch, height, width, channels};
    y = {batch, out.shape[0], out.shape[1], filters};
    native = cpu::convolution(graph.ops().back().as<ops::Conv>()->window, filters, groups, batch);
  }
  Shape x, w, y;
  std::unique_ptr<cpu::Convolution> native;
};

void expect(const char* name, const Images& array, const Shape& shape) {
  const Shape got(array.shape(), array.shape() + array.ndim());
  if (got != shape) refuse(name, " must have shape ", text_of(shape), ", got ", text_of(got));
}

using Pass = void (cpu::Convolution::*)(const float*, const float*, float*);

struct Operand {
  const char* name;
  Shape PyConvolution::* shape;
};

void add_pass(py::class_<PyConvolution>& to, const char* name, Operand a, Operand b, Operand out,
              Pass pass) {
  using py::arg;
  to.def(
      name,
      [=](PyConvolution& c, const Images& first, const Images& second, Images& result) {
        expect(a.name, first, c.*a.shape);
        expect(b.name, second, c.*b.shape);
        expect(out.name, result, c.*out.shape);
        float* values = result.mutable_data();
        const Released released;
        (*c.native.*pass)(first.data(), second.data(), values);
      },
      arg(a.name).noconvert(), arg(b.name).noconvert(), arg(out.name).noconvert());
}

}  // namespace

void bind_convolution(py::module_& m) {
  using py::arg;
  py::class_<PyConvolution> c(m, "Convolution");
  c.def(py::init<long, long, long, long, Pair, Pair, const Padding&, Pair, long, long>(),
        arg("height"), arg("width"), arg("channels"), arg("filters"), arg("kernel"),
        arg("stride") = Pair{1, 1}, arg("padding") = Padding{}, arg("dilation") = Pair{1, 1},
        arg("groups") = 1, arg("batch") = 1);
  const Operand x{"x", &PyConvolution::x}, w{"w", &PyConvolution::w}, y{"y", &PyConvolution::y};
  const Operand dx{"dx", x.shape}, dw{"dw", w.shape}, dy{"dy", y.shape};
  add_pass(c, "forward", x, w, y, &cpu::Convolution::forward);
  add_pass(c, "backward_data", dy, w, dx, &cpu::Convolution::backward_data);
  add_pass(c, "backward_weights", x, dy, dw, &cpu::Convolution::backward_weights);
}

}  // namespace steep::bind
