// Numbers that rows of a batch leave behind for the next one, in a parameter that no gradient moves: chains
// that go on from step to step (Tieleman 2008).
#pragma once
#include "ops/op.h"

namespace steep::ops {

struct Kept {
  long width = 1;  // of a row
  long rows = 1;   // of them; those of larger batches begin again with the first
};

// out = the row of the states that has the number of the batch's row, as the step before left it.
struct KeptRows : Kept {
  static constexpr const char* kName = "kept_rows";
  static constexpr std::array kTensors{"x"};
  static constexpr std::array kParameters{"states"};
  static constexpr bool kStops = true;
  static constexpr std::size_t kOptional = 1;  // restarts
  static constexpr auto fields() {
    return std::tuple{Field{"width", &Kept::width}, Field{"restarts", &KeptRows::restarts}};
  }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;

  bool restarts = false;  // whether an epoch, and a prediction, begin with zeros
  bool zeros = false;     // whether it is a prediction
};

// out = in0; at the end of a step its rows are the states.
struct KeepRows : Kept {
  static constexpr const char* kName = "keep_rows";
  static constexpr std::array kTensors{"x"};
  static constexpr std::array kParameters{"states"};
  static constexpr bool kStops = true;
  static constexpr bool kOnce = true;
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;

  bool followed = false;  // whether the states are the objective's
};

}  // namespace steep::ops
