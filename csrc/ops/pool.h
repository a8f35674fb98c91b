// Largest values and means of sliding windows.
#pragma once
#include "ops/window.h"

namespace steep::ops {

// What pools and their gradients share.
struct Pooling : Sliding {
  static constexpr std::array kTensors{"x"};
  Shape shape(const Given& given);

  Window window = {};
};

// out = largest of each window.
struct MaxPool : Pooling {
  static constexpr const char* kName = "max_pool";
  static constexpr auto fields() {
    return std::tuple{Field{"size", &Sliding::size}, Field{"stride", &Sliding::stride},
                      Field{"padding", &Sliding::padding}};
  }
  void gradient(Gradients& to, const Op& op) const;
};

// out (+)= in2 where in0 is the largest, in1.
struct MaxPoolGrad {
  static constexpr const char* kName = "max_pool_grad";
  Window window;
};

// out = mean of each window.
struct AvgPool : Pooling {
  static constexpr const char* kName = "avg_pool";
  static constexpr auto fields() {
    return std::tuple_cat(MaxPool::fields(),
                          std::tuple{Field{"count_padding", &AvgPool::count_padding}});
  }
  void gradient(Gradients& to, const Op& op) const;

  bool count_padding = false;  // zeros around the image count in the mean
};

// out (+)= in0 / count, over each window.
struct AvgPoolGrad {
  static constexpr const char* kName = "avg_pool_grad";
  Window window;
  bool count_padding;
};

}  // namespace steep::ops
