// Python's view of skip-gram: tables of words as plain arrays, which are stepped in place.
#include <cmath>

#include "base/error.h"
#include "base/panels.h"
#include "bind/arrays.h"
#include "bind/gil.h"
#include "cpu.h"

namespace steep::bind {

namespace {

template <class T> std::vector<T> listed(const Dense<T>& a) {
  return {a.data(), a.data() + a.size()};
}

class PySkipGram {
 public:
  PySkipGram(const Dense<int32_t>& words, const Dense<int64_t>& ends, const Dense<double>& keep,
             const Dense<double>& weights, long window, long negatives, uint64_t seed)
      : rows_(keep.size()), negatives_(negatives) {
    cpu::SkipGramWords of{listed(words), listed(ends), listed(keep), listed(weights),
                          window,        negatives,    seed};
    if (window < 1 || negatives < 1 || window * negatives >= kMostAxis) {
      refuse("SkipGram: window and negatives must be at least 1, their product below 2^31");
    }
    if (rows_ == 0 || weights.size() != keep.size() || words.size() >= kMostAxis) {
      refuse("SkipGram: expects keep and weights of one length, and fewer than 2^31 words");
    }
    double sum = 0;
    for (const double w : of.weights) sum += w >= 0 ? w : std::nan("");
    if (!(sum > 0) || std::isinf(sum)) refuse("SkipGram: weights must be 0 or more, not all 0");
    for (const int32_t w : of.words)
      if (w < 0 || w >= rows_) refuse("SkipGram: word ", w, " of ", rows_);
    int64_t last = 0;
    for (const int64_t end : of.ends) {
      if (end < last) refuse("SkipGram: ends must ascend, got ", end, " after ", last);
      last = end;
    }
    if (last != words.size()) refuse("SkipGram: ends at ", last, " of ", words.size(), " words");
    native_ = cpu::skip_gram(std::move(of));
  }

  long begin(uint32_t epoch) {
    const Released released;
    return kept_ = native_->begin(epoch);
  }
  py::tuple pairs(long first, long last) const {
    check(first, last);
    std::vector<int32_t> inputs, targets;
    native_->draw(first, last, inputs, targets);
    const py::ssize_t n = inputs.size();
    return py::make_tuple(
        py::array_t<int32_t>(n, inputs.data()),
        py::array_t<int32_t>(std::vector<py::ssize_t>{n, 1 + negatives_}, targets.data()));
  }
  py::tuple step(py::array inputs, py::array outputs, double lr, long first, long last) {
    check(first, last);
    void *const in = table(inputs, "inputs"), *const out = table(outputs, "outputs");
    if (format_of(inputs) != format_of(outputs) || inputs.shape(1) != outputs.shape(1)) {
      refuse("SkipGram: inputs and outputs must have one type and one shape");
    }
    const Format format = *format_of(inputs);
    const long width = inputs.shape(1);
    long pairs = 0;
    double loss = 0;
    {
      const Released released;
      loss = native_->step(format, in, out, width, lr, first, last, pairs);
    }
    return py::make_tuple(loss, pairs);
  }

 private:
  void check(long first, long last) const {
    if (first < 0 || first > last || last > kept_) {
      refuse("SkipGram: centres ", first, " to ", last, " of ", kept_);
    }
  }
  void* table(py::array& a, const char* name) const {
    if (!is_real(a)) throw py::type_error("SkipGram: tables must be float32 or float64");
    if (a.ndim() != 2 || a.shape(0) != rows_ || a.shape(1) < kLane || a.shape(1) % kLane != 0 ||
        !(a.flags() & py::array::c_style)) {
      refuse("SkipGram: ", name, " must be (", rows_, ", a multiple of ", kLane, ") in C order");
    }
    return a.mutable_data();
  }
  const long rows_, negatives_;
  long kept_ = 0;
  std::unique_ptr<cpu::SkipGram> native_;
};

}  // namespace

void bind_skip_gram(py::module_& m) {
  using py::arg;
  py::class_<PySkipGram>(m, "SkipGram")
      .def(py::init<const Dense<int32_t>&, const Dense<int64_t>&, const Dense<double>&,
                    const Dense<double>&, long, long, uint64_t>(),
           arg("words"), arg("ends"), arg("keep"), arg("weights"), arg("window"), arg("negatives"),
           arg("seed"))
      .def("begin", &PySkipGram::begin, arg("epoch"))
      .def("pairs", &PySkipGram::pairs, arg("first"), arg("last"))
      .def("step", &PySkipGram::step, arg("inputs"), arg("outputs"), arg("lr"), arg("first"),
           arg("last"));
}

}  // namespace steep::bind
