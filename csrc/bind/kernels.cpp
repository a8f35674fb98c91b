// Python's view of single kernels: products, sweeps of a rule, random draws, checks.
#include <algorithm>
#include <limits>

#include "base/error.h"
#include "bind/arrays.h"
#include "bind/gil.h"
#include "cpu.h"
#include "data/draws.h"
#include "data/permutation.h"
#include "plan/rules.h"

namespace steep::bind {

namespace {

// Rows may be apart, elements of a row may not.
long row_stride(const py::array& a, const char* name) {
  if (a.ndim() != 2) refuse("gemm: ", name, " must have two axes, got ", a.ndim());
  const long item = a.itemsize();
  if (a.size() == 0) return std::max<long>(a.shape(1), 1);  // NumPy gives it strides of 0
  if ((a.shape(1) > 1 && a.strides(1) != item) || a.strides(0) % item != 0 || a.strides(0) < 0 ||
      reinterpret_cast<std::uintptr_t>(a.data()) % item != 0) {
    refuse("gemm: the rows of ", name,
           " must be contiguous and aligned; pass numpy.ascontiguousarray(", name, ")");
  }
  return std::max(a.strides(0) / item, 1L);
}

void gemm(const py::array& a, const py::array& b, py::array out, bool ta, bool tb) {
  const std::optional<Format> format = format_of(out);
  if (!is_real(out) || format_of(a) != format || format_of(b) != format) {
    throw py::type_error("gemm: a, b and out must all be float32 or all float64");
  }
  const long lda = row_stride(a, "a"), ldb = row_stride(b, "b"), ldc = row_stride(out, "out");
  const long m = a.shape(ta ? 1 : 0), depth = a.shape(ta ? 0 : 1);
  const long n = b.shape(tb ? 0 : 1), depth_b = b.shape(tb ? 1 : 0);
  if (depth != depth_b || out.shape(0) != m || out.shape(1) != n) {
    refuse("gemm: (", m, ", ", depth, ") times (", depth_b, ", ", n, ") into (", out.shape(0), ", ",
           out.shape(1), ")");
  }
  void* const c = out.mutable_data();
  const Released released;
  cpu::gemm(*format, m, n, depth, {a.data(), lda, ta}, {b.data(), ldb, tb}, c, ldc);
}

class PySweep {
 public:
  PySweep(const std::string& rule, const py::array& start)
      : index_(rule_index(rule)), size_(start.size()),
        format_(holds<float>(start.dtype()) ? Format::Float32 : Format::Float64) {
    if (start.ndim() != 1) refuse("Sweep: start must have one axis, got ", start.ndim());
    if (info().factored) refuse("Sweep: ", rule, " moves matrices by their rows and columns");
    const std::vector<Parameter> vector{{"w", {size_}, true, true}};
    columns_ = cpu::device().store(std::make_shared<Layout>(vector, format_),
                                   1 + static_cast<int>(info().slots.size()));
    columns_->set(0, 0, dense(start, format_).data());
  }

  bool step(const py::array& gradient, const Dense<double>& knobs, double scale, double decay) {
    const py::array g = dense(gradient, format_);
    if (g.size() != size_) {
      refuse("Sweep: the gradient has ", g.size(), " elements, the weights ", size_);
    }
    if (knobs.size() != static_cast<py::ssize_t>(info().knobs.size())) {
      refuse("Sweep: ", info().name, " has ", info().knobs.size(), " knobs, got ", knobs.size());
    }
    if (info().look_ahead) look_ = knobs.data()[info().knob("look_next")];
    const Released released;
    return cpu::sweep(*columns_, index_, g.data(), knobs.data(), scale, decay);
  }
  py::array w() const {
    if (!info().look_ahead) return point();
    py::array out = empty(format_, {size_});
    cpu::look_back(*columns_, 1 + info().slot("v"), look_, out.mutable_data());
    return out;
  }
  py::array point() const { return column(0); }
  py::array slot(const std::string& name) const {
    const int i = info().slot(name);
    if (i < 0) refuse("Sweep: ", info().name, " has no slot \"", name, "\"");
    return column(1 + i);
  }

 private:
  const RuleInfo& info() const { return rule_infos()[index_]; }
  py::array column(int i) const {
    py::array out = empty(format_, {size_});
    columns_->get(i, 0, out.mutable_data());
    return out;
  }
  const int index_;
  const long size_;
  const Format format_;
  double look_ = 0;  // of the coming step
  std::shared_ptr<Store> columns_;
};

class PyOrthogonal {
 public:
  explicit PyOrthogonal(const std::vector<py::array>& matrices) {
    std::vector<Parameter> parameters;
    for (const py::array& m : matrices) {
      if (m.ndim() != 2 || m.size() == 0) {
        refuse("Orthogonal: matrix ", parameters.size(), " must have two axes and an element");
      }
      if (format_of(m) != format_of(matrices[0]) || !is_real(m)) {
        throw py::type_error("Orthogonal: matrices must all be float32 or all float64");
      }
      parameters.push_back(
          {std::to_string(parameters.size()), {m.shape(0), m.shape(1)}, true, true});
    }
    if (parameters.empty()) refuse("Orthogonal: expects at least one matrix");
    format_ = *format_of(matrices[0]);
    columns_ = cpu::device().store(std::make_shared<Layout>(parameters, format_), 1);
    native_ = cpu::orthogonal(*columns_);
    set(matrices);
  }

  void set(const std::vector<py::array>& matrices) {
    const auto& slices = columns_->layout().slices;
    if (matrices.size() != slices.size()) {
      refuse("Orthogonal: expects ", slices.size(), " matrices, got ", matrices.size());
    }
    for (std::size_t i = 0; i < slices.size(); ++i) {
      const Shape got(matrices[i].shape(), matrices[i].shape() + matrices[i].ndim());
      if (got != slices[i].shape) {
        refuse("Orthogonal: matrix ", i, " has shape ", text_of(got), ", before ",
               text_of(slices[i].shape));
      }
      columns_->set(0, static_cast<int>(i), dense(matrices[i], format_).data());
    }
  }
  void run(int steps, double a, double b, double c, double eps) {
    if (steps < 0) refuse("Orthogonal: steps must be 0 or more, got ", steps);
    const Released released;
    native_->run(steps, a, b, c, eps);
  }
  std::vector<py::array> get() const {
    std::vector<py::array> out;
    for (const Slice& slice : columns_->layout().slices) {
      out.push_back(empty(format_, slice.shape));
      columns_->get(0, static_cast<int>(out.size()) - 1, out.back().mutable_data());
    }
    return out;
  }
  long bytes() const { return native_->bytes(); }

 private:
  Format format_;
  std::shared_ptr<Store> columns_;
  std::unique_ptr<cpu::Orthogonal> native_;
};

bool all_finite(const py::array& a, double limit) {
  if (a.dtype().kind() == 'u' || a.dtype().kind() == 'i' || a.dtype().kind() == 'b') return true;
  if (!format_of(a)) {
    throw py::type_error("all_finite: expects float32 or float64");
  }
  if (a.size() == 0) return true;
  const Source values = view_of(a, "all_finite");
  const Released released;
  return cpu::all_within(values, std::min(limit, std::numeric_limits<double>::max()));
}

template <class F> py::array_t<double> drawn(F&& draw, uint64_t seed, uint64_t stream, long n) {
  py::array_t<double> out(n);
  draw(seed, stream, n, out.mutable_data());
  return out;
}

py::array_t<int64_t> permutation(uint64_t seed, uint64_t epoch, long n) {
  py::array_t<int64_t> out(n);
  const Permutation order(seed, epoch, static_cast<uint64_t>(n));
  for (long i = 0; i < n; ++i) {
    out.mutable_data()[i] = static_cast<int64_t>(order(static_cast<uint64_t>(i)));
  }
  return out;
}

}  // namespace

void bind_kernels(py::module_& m) {
  using py::arg;
  m.def("gemm", &gemm, arg("a"), arg("b"), arg("out"), arg("transpose_a") = false,
        arg("transpose_b") = false);
  m.def("all_finite", &all_finite, arg("array"), arg("limit") = std::numeric_limits<double>::max());
  m.def("check_invariants", &cpu::check_invariants, arg("on"));
  m.def(
      "uniform",
      [](uint64_t seed, uint64_t stream, long n) { return drawn(uniform, seed, stream, n); },
      arg("seed"), arg("stream"), arg("n"));
  m.def(
      "normal",
      [](uint64_t seed, uint64_t stream, long n) { return drawn(normal, seed, stream, n); },
      arg("seed"), arg("stream"), arg("n"));
  m.def("permutation", &permutation, arg("seed"), arg("epoch"), arg("n"));
  py::class_<PySweep>(m, "Sweep")
      .def(py::init<const std::string&, const py::array&>(), arg("rule"), arg("start"))
      .def("step", &PySweep::step, arg("gradient"), arg("knobs"), arg("scale") = 1.0,
           arg("decay") = 0.0)
      .def_property_readonly("w", &PySweep::w)
      .def_property_readonly("point", &PySweep::point)
      .def("slot", &PySweep::slot, arg("name"));
  py::class_<PyOrthogonal>(m, "Orthogonal")
      .def(py::init<const std::vector<py::array>&>(), arg("matrices"))
      .def("set", &PyOrthogonal::set, arg("matrices"))
      .def("run", &PyOrthogonal::run, arg("steps") = 5, arg("a") = 3.4445, arg("b") = -4.775,
           arg("c") = 2.0315, arg("eps") = 1e-7)
      .def("get", &PyOrthogonal::get)
      .def_property_readonly("bytes", &PyOrthogonal::bytes);
}

}  // namespace steep::bind
