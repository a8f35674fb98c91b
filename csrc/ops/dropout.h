// Ops that draw numbers while training: dropout (Srivastava et al. 2014), inverted or as published,
// that of SELU (Klambauer et al. 2017), and ReLU of random slopes (Xu et al. 2015).
#pragma once
#include "ops/op.h"

namespace steep::ops {

// out (+)= keep ? scale*in0 : 0, of a rate that is a number or one of the step's; its own gradient.
struct Dropout {
  static constexpr const char* kName = "dropout";
  static constexpr std::array kTensors{"x"};
  static constexpr std::size_t kOptional = 1;  // scalar
  static constexpr auto fields() {
    return std::tuple{Field{"rate", &Dropout::rate}, Field{"redraw_epoch", &Dropout::redraw_epoch},
                      Field{"scale_at_test", &Dropout::scale_at_test},
                      Field{"scalar", &Dropout::scalar}};
  }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
  void gradient(Gradients& to, const Op& op) const;

  double rate = 0;
  bool redraw_epoch = false, scale_at_test = false;
  int scalar = -1;      // which number of the step the rate is, or none
  uint32_t stream = 0;  // number of the mask in its network
  double scale = 1;     // of a rate that is a number
};

// out = scale*(keep ? in0 : kLow) + shift, of mean 0 and variance 1 where in0 is; alone at test time.
struct AlphaDropout {
  static constexpr const char* kName = "alpha_dropout";
  static constexpr std::array kTensors{"x"};
  static constexpr auto fields() { return std::tuple{Field{"rate", &AlphaDropout::rate}}; }
  static constexpr double kLow = -1.7580993408473768599402175208123;  // of SELU, far below 0
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
  void gradient(Gradients& to, const Op& op) const;

  double rate = 0;
  uint32_t stream = 0;
  double scale = 1, shift = 0;
};

struct Sloping {
  double low = 0, high = 0;  // of the slopes
  uint32_t stream = 0;
};

// out = in0 where it is positive, else slope*in0, each slope drawn from [low, high]; at test time it is
// their mean.
struct RReLU : Sloping {
  static constexpr const char* kName = "rrelu";
  static constexpr std::array kTensors{"x"};
  static constexpr auto fields() {
    return std::tuple{Field{"lower", &Sloping::low}, Field{"upper", &Sloping::high}};
  }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
  void gradient(Gradients& to, const Op& op) const;
};

// out (+)= in0 (dy) where in1 (x) is positive, else slope*in0, of the same slopes.
struct RReLUGrad : Sloping { static constexpr const char* kName = "rrelu_grad"; };

}  // namespace steep::ops
