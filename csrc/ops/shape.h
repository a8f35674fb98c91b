// Ops that move elements and change none: other shapes, columns copied, zeros around images.
#pragma once
#include "ops/op.h"

namespace steep::ops {

// out is in0 under another shape.
struct Reshape {
  static constexpr const char* kName = "reshape";
  static constexpr std::array kTensors{"x"};
  static constexpr bool kAlias = true;  // nothing is done, memory is shared
  static constexpr auto fields() { return std::tuple{Field{"shape", &Reshape::to}}; }
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;

  Shape to = {};
};

// out[to..to+columns) (+)= in0[from..from+columns), of every pixel.
struct CopyColumns {
  static constexpr const char* kName = "copy_columns";
  void gradient(Gradients& to, const Op& op) const;

  long from, to, columns, pixels;
};

// out = in0 with zeros around it.
struct Pad {
  static constexpr const char* kName = "zero_pad";
  static constexpr std::array kTensors{"x"};
  static constexpr auto fields() {
    return std::tuple{Field{"rows", &Pad::rows}, Field{"columns", &Pad::columns},
                      Field{"channels", &Pad::channels}};
  }
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;

  Pair rows = {}, columns = {}, channels = {};  // before and after
  long small[3] = {}, large[3] = {};            // shapes of image and result
  long above = 0, left = 0, front = 0;          // zeros before the first row, column, channel
};

// out (+)= in0 without what Pad put around it.
struct Crop {
  static constexpr const char* kName = "crop";
  Pad pad;
};

}  // namespace steep::ops
