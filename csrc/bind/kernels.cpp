// Python's view of single kernels: products, sweeps of a rule, random draws, checks.
#include <limits>
#include <variant>

#include "base/error.h"
#include "bind/arrays.h"
#include "bind/gil.h"
#include "cpu/gemm.h"
#include "cpu/invariants.h"
#include "cpu/sweep.h"
#include "cpu/threads.h"
#include "data/draws.h"
#include "session/network.h"

namespace steep::bind {

namespace {

// Rows may be apart, elements of a row may not.
template <class T> long row_stride(const py::array& a, const char* name) {
  if (a.ndim() != 2) refuse("gemm: ", name, " must have two axes, got ", a.ndim());
  const long item = static_cast<long>(sizeof(T));
  if (a.size() == 0) return std::max<long>(a.shape(1), 1);  // NumPy gives it strides of 0
  if ((a.shape(1) > 1 && a.strides(1) != item) || a.strides(0) % item != 0 || a.strides(0) < 0 ||
      !aligned<T>(a)) {
    refuse("gemm: the rows of ", name,
           " must be contiguous and aligned; pass numpy.ascontiguousarray(", name, ")");
  }
  return std::max(a.strides(0) / item, 1L);
}

template <class T>
void gemm_of(const py::array& a, const py::array& b, py::array& out, bool ta, bool tb) {
  const long lda = row_stride<T>(a, "a"), ldb = row_stride<T>(b, "b"),
             ldc = row_stride<T>(out, "out");
  const long m = a.shape(ta ? 1 : 0), depth = a.shape(ta ? 0 : 1);
  const long n = b.shape(tb ? 0 : 1), depth_b = b.shape(tb ? 1 : 0);
  if (depth != depth_b || out.shape(0) != m || out.shape(1) != n) {
    refuse("gemm: (", m, ", ", depth, ") times (", depth_b, ", ", n, ") into (", out.shape(0), ", ",
           out.shape(1), ")");
  }
  const T* pa = static_cast<const T*>(a.data());
  const T* pb = static_cast<const T*>(b.data());
  T* pc = static_cast<T*>(out.mutable_data());
  const Released released;
  const double cost =
      2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(depth);
  gemm(kernels<T>(), ta, tb, m, n, depth, pa, lda, pb, ldb, pc, ldc, threads_for(cost));
}

void gemm_any(const py::array& a, const py::array& b, py::array out, bool ta, bool tb) {
  const auto all = [&](const py::dtype& t) {
    return a.dtype().equal(t) && b.dtype().equal(t) && out.dtype().equal(t);
  };
  if (all(py::dtype::of<float>())) return gemm_of<float>(a, b, out, ta, tb);
  if (all(py::dtype::of<double>())) return gemm_of<double>(a, b, out, ta, tb);
  throw py::type_error("gemm: a, b and out must all be float32 or all float64");
}

class PySweep {
 public:
  PySweep(const std::string& rule, const py::array& start) {
    if (start.ndim() != 1) refuse("Sweep: start must have one axis, got ", start.ndim());
    const int index = rule_index(rule);
    if (holds<float>(start.dtype())) {
      const Dense<float> s = dense<float>(start);
      sweep_.emplace<Sweep<float>>(index, s.data(), s.size());
    } else {
      const Dense<double> s = dense<double>(start);
      sweep_.emplace<Sweep<double>>(index, s.data(), s.size());
    }
  }

  template <class F> decltype(auto) visit(F&& f) {
    if (auto* s = std::get_if<Sweep<float>>(&sweep_)) return f(*s);
    return f(std::get<Sweep<double>>(sweep_));
  }

  bool step(const py::array& gradient, const Dense<double>& knobs, double scale, double decay) {
    return visit([&]<class T>(Sweep<T>& s) {
      const Dense<T> g = dense<T>(gradient);
      if (g.size() != s.size()) {
        refuse("Sweep: the gradient has ", g.size(), " elements, the weights ", s.size());
      }
      if (knobs.size() != static_cast<py::ssize_t>(s.rule().knobs.size())) {
        refuse("Sweep: ", s.rule().name, " has ", s.rule().knobs.size(), " knobs, got ",
               knobs.size());
      }
      const Released released;
      return s.step(g.data(), knobs.data(), static_cast<T>(scale), static_cast<T>(decay));
    });
  }
  py::array w() {
    return visit([]<class T>(const Sweep<T>& s) -> py::array {
      py::array_t<T> out(s.size());
      s.weights(out.mutable_data());
      return out;
    });
  }
  py::array point() {
    return visit([](auto& s) { return copy(s.point(), s.size()); });
  }
  py::array slot(const std::string& name) {
    return visit([&](auto& s) {
      const int i = s.rule().slot(name);
      if (i < 0) refuse("Sweep: ", s.rule().name, " has no slot \"", name, "\"");
      return copy(s.slot(i), s.size());
    });
  }

 private:
  template <class T> static py::array copy(const T* data, long n) {
    return py::array_t<T>(n, data);
  }
  std::variant<std::monostate, Sweep<float>, Sweep<double>> sweep_;
};

// The scan of an array nobody has copied: rows of the last axis where they are contiguous.
template <class T> bool finite_in(const py::array& a, T limit) {
  const py::ssize_t inner = a.ndim() ? a.shape(a.ndim() - 1) : 1;
  const bool contiguous = (a.flags() & py::array::c_style) != 0 && aligned<T>(a);
  const auto* data = static_cast<const std::byte*>(a.data());
  const Kernels<T>& k = kernels<T>();
  if (contiguous) return k.all_within(reinterpret_cast<const T*>(data), a.size(), limit);
  const Source rows =
      Source::of(data, sizeof(T) == 4 ? DType::Float32 : DType::Float64,
                 {a.shape(), a.shape() + a.ndim()}, {a.strides(), a.strides() + a.ndim()});
  std::vector<T> row(static_cast<std::size_t>(padded(std::max<long>(rows.width(), inner))));
  for (long i = 0; i < rows.samples; ++i) {
    read_sample<T>(k, rows, i, row.data(), T(1), T(0));
    if (!k.all_within(row.data(), rows.width(), limit)) return false;
  }
  return true;
}

bool all_finite(const py::array& a, double limit) {
  const bool single = holds<float>(a.dtype());
  if (!single && !holds<double>(a.dtype())) {
    if (a.dtype().kind() == 'u' || a.dtype().kind() == 'i' || a.dtype().kind() == 'b') return true;
    throw py::type_error("all_finite: expects float32 or float64");
  }
  const Released released;
  const auto most =
      static_cast<float>(std::min(limit, static_cast<double>(std::numeric_limits<float>::max())));
  return single ? finite_in<float>(a, most)
                : finite_in<double>(a, std::min(limit, std::numeric_limits<double>::max()));
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
  m.def("gemm", &gemm_any, arg("a"), arg("b"), arg("out"), arg("transpose_a") = false,
        arg("transpose_b") = false);
  m.def("all_finite", &all_finite, arg("array"), arg("limit") = std::numeric_limits<double>::max());
  m.def("check_invariants", &check_invariants, arg("on"));
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
}

}  // namespace steep::bind
