// Recurrent layers over time: plain (Elman 1990), LSTM (Hochreiter & Schmidhuber 1997; Gers et al. 2000) and
// GRU (Cho et al. 2014), all steps of a sample in one op; and dropout of one mask for all steps.
#pragma once
#include "base/panels.h"
#include "ops/op.h"

namespace steep::ops {

enum class Cell {
  Tanh,       // h = tanh(x W + h U + b)
  Relu,       // h = max(x W + h U + b, 0)
  LSTM,       // gates i f g o: c = f c + i g, h = o tanh(c)
  GRU,        // gates r z n: n = tanh(x W + b + r (h U + b')), h = (1 - z) n + z h
  GRUBefore,  // the same of n = tanh(x W + b + (r h) U)
};

// What the steps of one direction are, and where they lie.
struct Recurrence {
  Cell cell = Cell::Tanh;
  long steps = 1, inputs = 1, units = 1;
  bool lengths = false;    // `start` begins with how many steps a sample has
  bool states = false;     // it ends with the first h, and c
  bool sequences = false;  // the result has h of every step, else the last one ...
  bool returned = false;   // ... and ends with the last h, and c
  bool hold = false;       // steps that a sample has not give the last h, else 0
  bool reverse = false;    // from a sample's last step to its first
  double dropout = 0;      // of h where it is multiplied by U: one mask for all steps
  uint32_t stream = 0;     // number of the mask in its network

  bool gated() const { return cell == Cell::GRU || cell == Cell::GRUBefore; }
  long gates() const { return cell == Cell::LSTM ? 4 : gated() ? 3 : 1; }
  long columns() const { return gates() * units; }                    // of W and U
  long memory() const { return cell == Cell::LSTM ? 2 : 1; }          // h, and c
  long width() const { return lengths + states * memory() * units; }  // of `start`

  // What the way back needs of a step, a record of so many times `units` numbers: h as U takes it; c before
  // the step, or r h; then what becomes the gradient before the gates as W has it, and as U has it; and h where
  // dropout took some of the first. The numbers of a gate lie side by side.
  long at_gates() const { return cell == Cell::LSTM || cell == Cell::GRUBefore ? 2 : 1; }
  // GRU: r z and what n has of h. GRUBefore: r z 0 of h, and 0 0 n of r h.
  long at_second() const { return gated() ? at_gates() + 3 : at_gates(); }
  long at_third() const { return at_second() + 2; }
  long at_plain() const {
    return cell == Cell::GRU ? at_second() + 3 : cell == Cell::GRUBefore ? at_third() + 3 : 0;
  }
  bool keeps_plain() const { return gated() && dropout > 0; }
  long record() const {
    const long size = cell == Cell::LSTM ? 6 : gated() ? at_plain() : 2;
    return units * (size + (keeps_plain() ? 1 : 0));
  }
  // Behind the records of all steps: the gradient of `start`; sums of the gradients before the gates over the
  // steps, as W and as U has them.
  long at_start() const { return padded(steps * record()); }
  long at_sums() const { return at_start() + padded(width()); }
  long at_second_sums() const { return at_sums() + padded(columns()); }
  long tape() const { return at_second_sums() + (cell == Cell::GRU ? padded(columns()) : 0); }

  // Samples that are taken through the steps together: more where U does not stay in a cache.
  static constexpr long kRows = 64, kManyRows = 192;
  long rows() const { return columns() * units > 384 * 1024 ? kManyRows : kRows; }
  double multiply_adds(long by) const {
    return static_cast<double>(steps) * static_cast<double>(columns()) * static_cast<double>(by);
  }
};

// out = h of all steps, (steps, units), or what else `sequences` and `returned` say, in rows of `units`. in1 is
// `start`, a row with the steps of a sample and its first states; in0 again where there is none.
struct Recurrent : Recurrence {
  static constexpr const char* kName = "recurrent";
  static constexpr std::array kTensors{"x", "start"};
  static constexpr std::array kParameters{"weight", "recurrent", "bias", "recurrent_bias"};
  static constexpr std::size_t kOptional = 10;
  static constexpr bool kManySamples = true;
  static constexpr auto fields() {
    return std::tuple{
        Field{"cell", &Recurrent::name},          Field{"lengths", &Recurrence::lengths},
        Field{"states", &Recurrence::states},     Field{"sequences", &Recurrence::sequences},
        Field{"returned", &Recurrence::returned}, Field{"hold", &Recurrence::hold},
        Field{"reverse", &Recurrence::reverse},   Field{"dropout", &Recurrence::dropout}};
  }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
  void gradient(Gradients& to, const Op& op) const;
  double work() const { return 2 * multiply_adds(inputs + units); }
  long scratch() const;

  std::string name = "tanh";  // of the cell, as Python says it
};

// out = weights as the steps multiply by them. Forward: for each 32 units, and each of their gates, rows of W
// and below them of U; then biases. Backward: W^T or U^T, its columns in panels.
struct RecurrentPack : Recurrence {
  static constexpr const char* kName = "recurrent_pack";
  static constexpr bool kCrosses = true;
  enum Way { kForward, kWeightTurned, kRecurrentTurned } way;
  long biases() const { return cell == Cell::GRU ? 4 : gates(); }
  long units() const { return ceil_div(outputs(), kPanel); }
  long outputs() const { return way == kWeightTurned ? inputs : Recurrence::units; }
  long at_biases() const { return gates() * (inputs + Recurrence::units) * padded(outputs()); }
  long size() const {
    return way == kForward ? at_biases() + biases() * padded(outputs())
                           : columns() * padded(outputs());
  }
};

// out = in0, the records, whose gates become their gradients; in1 the result's gradient, in2 U^T, in3 `start`.
struct RecurrentGrad : Recurrence {
  static constexpr const char* kName = "recurrent_grad";
  static constexpr bool kInPlace = true;
  static constexpr bool kManySamples = true;
  double work() const { return 2 * multiply_adds(units) * 2; }
  long scratch() const;
};

// out (+)= in0, gradients before the gates, times in1, W^T; in2 `start`.
struct RecurrentInputGrad : Recurrence {
  static constexpr const char* kName = "recurrent_input_grad";
  double work() const { return 2 * multiply_adds(inputs) * 2; }
};

// out (+)= keep ? scale*in0 : 0, one mask for all positions of a sample; its own gradient.
struct StepDropout {
  static constexpr const char* kName = "step_dropout";
  static constexpr std::array kTensors{"x"};
  static constexpr auto fields() { return std::tuple{Field{"rate", &StepDropout::rate}}; }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
  void gradient(Gradients& to, const Op& op) const;

  double rate = 0;
  uint32_t stream = 0;
  long positions = 1;
};

}  // namespace steep::ops
