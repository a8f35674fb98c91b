// Ops along axes of a sample: sums, repetitions, ranges. Axes around the ones that an op works along are
// taken together: (outer, n, inner).
#pragma once
#include "ops/op.h"

namespace steep::ops {

// out (+)= scale * sums of in0 over `axes` axes from `axis` on; (1,) where none is left.
struct Sum {
  static constexpr const char* kName = "sum";
  static constexpr std::array kTensors{"x"};
  static constexpr auto fields() {
    return std::tuple{Field{"axis", &Sum::axis}, Field{"axes", &Sum::axes},
                      Field{"scale", &Sum::scale}};
  }
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;

  long axis = 0, axes = 1;
  double scale = 1;
  long outer = 1, n = 1, inner = 1;
};

// out (+)= scale * in0, `times` times along a new axis before `axis`.
struct Repeat {
  static constexpr const char* kName = "repeat";
  static constexpr std::array kTensors{"x"};
  static constexpr auto fields() {
    return std::tuple{Field{"axis", &Repeat::axis}, Field{"times", &Repeat::n}};
  }
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;

  long axis = 0;
  long outer = 1, n = 1, inner = 1;
  double scale = 1;
};

// out = in0 from `first` to `last` of one axis.
struct Slice {
  static constexpr const char* kName = "slice";
  static constexpr std::array kTensors{"x"};
  static constexpr auto fields() {
    return std::tuple{Field{"axis", &Slice::axis}, Field{"first", &Slice::first},
                      Field{"last", &Slice::last}};
  }
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;

  long axis = 0, first = 0, last = 0;  // without the last one
  long outer = 1, n = 1, inner = 1;
};

// out (+)= in0 where Slice took it from, 0 elsewhere.
struct SliceGrad {
  static constexpr const char* kName = "slice_grad";
  Slice of;
};

}  // namespace steep::ops
