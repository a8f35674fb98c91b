// Images made larger by repeating pixels.
#pragma once
#include "ops/op.h"

namespace steep::ops {

// Every pixel of in0 becomes size[0] by size[1] equal ones.
struct Upsample {
  static constexpr const char* kName = "upsample";
  static constexpr std::array kTensors{"x"};
  static constexpr auto fields() { return std::tuple{Field{"size", &Upsample::size}}; }
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;

  Pair size = {1, 1};
  long height = 1, width = 1, channels = 1;  // of in0
  long down = 1, across = 1;                 // how often
};

// out (+)= sums of in0 over the pixels that one pixel became.
struct UpsampleGrad {
  static constexpr const char* kName = "upsample_grad";
  Upsample of;
};

}  // namespace steep::ops
