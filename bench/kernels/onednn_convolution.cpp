// One pass of a convolution by oneDNN in the layouts it likes best, executed many times.
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

namespace {

using dnnl::memory;
using Tag = memory::format_tag;

struct Convolution {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::primitive primitive;
  std::unordered_map<int, memory> arguments;
  memory result, plain;  // the result as the primitive leaves it, and over the caller's array
};

memory::desc describe(const memory::dims& dims, Tag tag) {
  return {dims, memory::data_type::f32, tag};
}

// Memory of the wanted layout with the values of an array in a plain one.
memory blocked(Convolution& c, const memory::desc& wanted, const memory::desc& plain,
               float* array) {
  memory made(wanted, c.engine), given(plain, c.engine, array);
  dnnl::reorder(given, made).execute(c.stream, given, made);
  c.stream.wait();
  return made;
}

}  // namespace

// x (n, h, w, c), weights (kh, kw, c/groups, f), y (n, p, q, f): the pass (0 forward, 1 backward
// data, 2 backward weights) reads two of them and its result belongs in the third.
extern "C" Convolution* convolution_make(int pass, long n, long h, long w, long c, long f, long kh,
                                         long kw, long p, long q, long stride, long padding,
                                         long groups, float* x, float* weights, float* y) {
  auto* made = new Convolution;
  const memory::dims image{n, c, h, w}, out{n, f, p, q}, steps{stride, stride};
  const memory::dims edge{padding, padding};
  const memory::dims kernel = groups > 1 ? memory::dims{groups, f / groups, c / groups, kh, kw}
                                         : memory::dims{f, c, kh, kw};
  const auto plain_x = describe(image, Tag::nhwc), plain_y = describe(out, Tag::nhwc);
  const auto plain_w = describe(kernel, groups > 1 ? Tag::hwigo : Tag::hwio);
  const auto any_x = describe(image, Tag::any), any_y = describe(out, Tag::any);
  const auto any_w = describe(kernel, Tag::any);
  const auto direct = dnnl::algorithm::convolution_auto;
  const dnnl::convolution_forward::primitive_desc forward(made->engine,
                                                          dnnl::prop_kind::forward_training, direct,
                                                          any_x, any_w, any_y, steps, edge, edge);
  if (pass == 0) {
    made->primitive = dnnl::convolution_forward(forward);
    made->result = memory(forward.dst_desc(), made->engine);
    made->plain = memory(plain_y, made->engine, y);
    made->arguments = {{DNNL_ARG_SRC, blocked(*made, forward.src_desc(), plain_x, x)},
                       {DNNL_ARG_WEIGHTS, blocked(*made, forward.weights_desc(), plain_w, weights)},
                       {DNNL_ARG_DST, made->result}};
  } else if (pass == 1) {
    const dnnl::convolution_backward_data::primitive_desc backward(
        made->engine, direct, any_x, any_w, any_y, steps, edge, edge, forward);
    made->primitive = dnnl::convolution_backward_data(backward);
    made->result = memory(backward.diff_src_desc(), made->engine);
    made->plain = memory(plain_x, made->engine, x);
    made->arguments = {
        {DNNL_ARG_DIFF_DST, blocked(*made, backward.diff_dst_desc(), plain_y, y)},
        {DNNL_ARG_WEIGHTS, blocked(*made, backward.weights_desc(), plain_w, weights)},
        {DNNL_ARG_DIFF_SRC, made->result}};
  } else {
    const dnnl::convolution_backward_weights::primitive_desc backward(
        made->engine, direct, any_x, any_w, any_y, steps, edge, edge, forward);
    made->primitive = dnnl::convolution_backward_weights(backward);
    made->result = memory(backward.diff_weights_desc(), made->engine);
    made->plain = memory(plain_w, made->engine, weights);
    made->arguments = {{DNNL_ARG_SRC, blocked(*made, backward.src_desc(), plain_x, x)},
                       {DNNL_ARG_DIFF_DST, blocked(*made, backward.diff_dst_desc(), plain_y, y)},
                       {DNNL_ARG_DIFF_WEIGHTS, made->result}};
  }
  return made;
}

extern "C" void convolution_loop(Convolution* convolution, long calls) {
  for (long i = 0; i < calls; i++) {
    convolution->primitive.execute(convolution->stream, convolution->arguments);
    convolution->stream.wait();
  }
}

// Writes the last result into the array that was given for it.
extern "C" void convolution_result(Convolution* convolution) {
  auto& c = *convolution;
  dnnl::reorder(c.result, c.plain).execute(c.stream, c.result, c.plain);
  c.stream.wait();
}
