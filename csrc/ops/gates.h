// Ops that choose or scale among the numbers of a sample: PReLU, gated linear units, maxout.
#pragma once
#include "ops/op.h"

namespace steep::ops {

// out = in0 where it is positive, else slope*in0; one slope a channel, or one for all.
struct PReLU {
  static constexpr const char* kName = "prelu";
  static constexpr std::array kTensors{"x"};
  static constexpr std::array kParameters{"slope"};
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;

  long channels = 1;  // slopes
};

// out (+)= in0 (dy) where in1 (x) is positive, else slope*in0.
struct PReLUGrad {
  static constexpr const char* kName = "prelu_grad";
  long channels;
};

// out = 0 where in1 (x) is positive, else in0*in1: what each element adds to its slope's gradient.
struct PReLUShares { static constexpr const char* kName = "prelu_shares"; };

struct Gating : Fused {
  long channels = 1;         // of the result
  bool reads_input = false;  // does f' take b, or f(b)?
};

// out = a * f(b), a and b the halves of in0's last axis.
struct GLU : Gating {
  static constexpr const char* kName = "glu";
  static constexpr std::array kTensors{"x"};
  static constexpr std::size_t kOptional = 1;  // alpha
  static constexpr auto fields() {
    return std::tuple{Field{"kind", &Fused::activation}, Field{"alpha", &Fused::alpha}};
  }
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;
};

// out (+)= gradient of in1 (x); in0 = dy.
struct GLUGrad : Gating { static constexpr const char* kName = "glu_grad"; };

// out = the largest of each `pieces` neighbours along the last axis; the first NaN where there is one.
struct Maxout {
  static constexpr const char* kName = "maxout";
  static constexpr std::array kTensors{"x"};
  static constexpr auto fields() { return std::tuple{Field{"pieces", &Maxout::pieces}}; }
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;

  long pieces = 1;
};

// out (+)= in0 (dy) at the first of its pieces in in1 (x) that is in2 (y), else 0.
struct MaxoutGrad {
  static constexpr const char* kName = "maxout_grad";
  long pieces;
};

}  // namespace steep::ops
