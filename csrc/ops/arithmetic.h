// Quotients, powers, bounds and the larger of two, element by element. Sums and products are in
// pointwise.h.
#pragma once
#include "ops/op.h"

namespace steep::ops {

// out (+)= in0 / in1.
struct Divide {
  static constexpr const char* kName = "divide";
  static constexpr std::array kTensors{"a", "b"};
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;
};

// out (+)= -in0 (dy) * in1 (y) / in2 (b).
struct DivideGrad { static constexpr const char* kName = "divide_grad"; };

// out = in0^exponent.
struct Power {
  static constexpr const char* kName = "power";
  static constexpr std::array kTensors{"x"};
  static constexpr auto fields() { return std::tuple{Field{"exponent", &Power::exponent}}; }
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;

  double exponent = 1;
};

// out (+)= in0 (dy) * exponent * in1 (x)^(exponent - 1).
struct PowerGrad {
  static constexpr const char* kName = "power_grad";
  double exponent;
};

// out = in0, but at least `low` and at most `high`.
struct Clip {
  static constexpr const char* kName = "clip";
  static constexpr std::array kTensors{"x"};
  static constexpr auto fields() {
    return std::tuple{Field{"low", &Clip::low}, Field{"high", &Clip::high}};
  }
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;

  double low = 0, high = 0;  // infinite for none
};

// out (+)= in0 (dy) where in1 (x) lies between them.
struct ClipGrad {
  static constexpr const char* kName = "clip_grad";
  double low, high;
};

// out = the larger of in0 and in1.
struct Maximum {
  static constexpr const char* kName = "maximum";
  static constexpr std::array kTensors{"a", "b"};
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;
};

// out = the smaller of in0 and in1.
struct Minimum {
  static constexpr const char* kName = "minimum";
  static constexpr std::array kTensors{"a", "b"};
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;
};

// out (+)= in0 where in1 > in2, half of it where they are equal.
struct WhereLarger { static constexpr const char* kName = "where_larger"; };

}  // namespace steep::ops
