// Python's view of Graph.
#include "bind/arrays.h"
#include "graph/names.h"

namespace steep::bind {

namespace {

// The tensor ids Python sees are those of the graph; shapes travel as tuples.
py::tuple tuple_of(const Shape& shape) {
  py::tuple out(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i) out[i] = shape[i];
  return out;
}

}  // namespace

void bind_graph(py::module_& m) {
  using py::arg;
  m.def("relu_like", [] {
    std::vector<std::string> names = activation_names();
    std::erase_if(names,
                  [](const auto& n) { return !activation_is_relu_like(activation_index(n)); });
    return names;
  });
  py::class_<Graph, std::shared_ptr<Graph>>(m, "Graph")
      .def(py::init<>())
      .def("input", &Graph::input, arg("shape"))
      .def("parameter", &Graph::parameter, arg("name"), arg("shape"), arg("decay"),
           arg("trained") = true)
      .def("name_next", &Graph::name_next, arg("layer"))
      .def(
          "shape", [](const Graph& g, int x) { return tuple_of(g.tensor(x).shape); }, arg("tensor"))
      .def("matmul", &Graph::matmul, arg("x"), arg("weight"), arg("bias") = -1)
      .def("activation", &Graph::activation, arg("x"), arg("kind"), arg("alpha") = 0.0)
      .def("add", &Graph::add, arg("a"), arg("b"))
      .def("subtract", &Graph::subtract, arg("a"), arg("b"))
      .def("multiply", &Graph::multiply, arg("a"), arg("b"))
      .def("affine", &Graph::affine, arg("x"), arg("scale"), arg("shift"))
      .def("affine_channels", &Graph::affine_channels, arg("x"), arg("scales"), arg("shifts"))
      .def("add_row", &Graph::add_row, arg("x"), arg("parameter"))
      .def("multiply_row", &Graph::multiply_row, arg("x"), arg("parameter"))
      .def("concat", &Graph::concat, arg("tensors"))
      .def("reshape", &Graph::reshape, arg("x"), arg("shape"))
      .def("softmax", &Graph::softmax, arg("x"))
      .def("dropout", &Graph::dropout, arg("x"), arg("rate"), arg("redraw_epoch"),
           arg("scale_at_test"))
      .def("recompute", &Graph::recompute, arg("block"))
      .def("conv2d", &Graph::conv2d, arg("x"), arg("weight"), arg("bias") = -1,
           arg("stride") = Pair{1, 1}, arg("padding") = Padding{}, arg("dilation") = Pair{1, 1},
           arg("groups") = 1)
      .def("max_pool", &Graph::max_pool, arg("x"), arg("size"), arg("stride"), arg("padding"))
      .def("avg_pool", &Graph::avg_pool, arg("x"), arg("size"), arg("stride"), arg("padding"),
           arg("count_padding"))
      .def("batch_norm", &Graph::batch_norm, arg("x"), arg("weight"), arg("bias"),
           arg("running_mean"), arg("running_variance"), arg("momentum"), arg("eps"))
      .def("lrn", &Graph::lrn, arg("x"), arg("size"), arg("alpha"), arg("beta"), arg("bias"))
      .def("upsample", &Graph::upsample, arg("x"), arg("size"))
      .def("zero_pad", &Graph::zero_pad, arg("x"), arg("rows"), arg("columns"), arg("channels"))
      .def("output", &Graph::output, arg("tensors"));
}

}  // namespace steep::bind
