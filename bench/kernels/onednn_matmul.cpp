// C = A B by one oneDNN matmul primitive over plain row-major matrices, executed many times.
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

namespace {

struct Matmul {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::matmul primitive;
  std::unordered_map<int, dnnl::memory> arguments;
};

// A (rows, columns) matrix of floats; a transposed one lies as (columns, rows).
dnnl::memory::desc matrix(long rows, long columns, bool transposed) {
  return {{rows, columns},
          dnnl::memory::data_type::f32,
          transposed ? dnnl::memory::format_tag::ba : dnnl::memory::format_tag::ab};
}

}  // namespace

extern "C" Matmul* matmul_make(long m, long n, long k, int transpose_a, int transpose_b, float* a,
                               float* b, float* c) {
  auto* made = new Matmul;
  const auto left = matrix(m, k, transpose_a != 0);
  const auto right = matrix(k, n, transpose_b != 0);
  const auto out = matrix(m, n, false);
  made->primitive = dnnl::matmul({made->engine, left, right, out});
  made->arguments = {{DNNL_ARG_SRC, {left, made->engine, a}},
                     {DNNL_ARG_WEIGHTS, {right, made->engine, b}},
                     {DNNL_ARG_DST, {out, made->engine, c}}};
  return made;
}

extern "C" void matmul_loop(Matmul* matmul, long calls) {
  for (long i = 0; i < calls; i++) {
    matmul->primitive.execute(matmul->stream, matmul->arguments);
    matmul->stream.wait();
  }
}
