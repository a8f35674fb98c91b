// Dropout (Srivastava et al. 2014), inverted or as published.
#pragma once
#include "ops/op.h"

namespace steep::ops {

// out (+)= keep ? scale*in0 : 0; its own gradient.
struct Dropout {
  static constexpr const char* kName = "dropout";
  static constexpr std::array kTensors{"x"};
  static constexpr auto fields() {
    return std::tuple{Field{"rate", &Dropout::rate}, Field{"redraw_epoch", &Dropout::redraw_epoch},
                      Field{"scale_at_test", &Dropout::scale_at_test}};
  }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
  void gradient(Gradients& to, const Op& op) const;

  double rate = 0;
  bool redraw_epoch = false, scale_at_test = false;
  uint32_t stream = 0;  // number of the mask in its network
  double scale = 1;
};

}  // namespace steep::ops
