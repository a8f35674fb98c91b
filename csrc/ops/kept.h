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
  static constexpr auto fields() { return std::tuple{Field{"width", &Kept::width}}; }
  Shape shape(const Given& given);
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
