// What the host asks of the device for recurrent layers: their steps as kernels read them, and what is enqueued
// for them. How the ops are cut into these: ops/recurrent.cpp.
#pragma once
#include "cuda/kernels/launch.h"

namespace steep::cuda {

enum class Unit { kPlain, kLstm, kGru, kGruBefore };

// Of one direction (ops/recurrent.h). Places are counted in numbers: of a record from its begin, of what lies
// behind the records from that of a row.
struct Steps {
  Unit unit;
  bool relu;  // of a plain one
  int steps, inputs, units, gates, memory;
  bool lengths, states, sequences, returned, hold, reverse;
  bool drops, keeps_plain;  // of h where U takes it
  bool keeps;  // records are kept for the way back, else the gates of x alone lie there
  int record, at_gates, at_second, at_third, at_plain;
  int at_start, at_sums, at_second_sums, tape;
  uint32_t threshold;
  float scale;
  Drawn drawn;
  int columns() const { return gates * units; }
};

// Up to this size of U one block takes its rows through all steps, U in its shared memory as far as it fits;
// beyond, every step is a product by itself: each block would read all of U in every step.
constexpr long kAtOnceBytes = 320L * 1024;
constexpr bool at_once(long columns, long units) { return columns * units * 4 <= kAtOnceBytes; }

// W or U, as it is stored.
struct Gates {
  Weight w;
  bool narrow;
};
struct Biases { const float *of_x, *of_h; };  // null where there is none

// Gates of all steps as far as x makes them, into the tape.
void recurrent_inputs(const Place& at, const Steps& s, const View& x, const Gates& w,
                      const Biases& biases, const View& tape);
void recurrent(const Place& at, const Steps& s, const View& start, const Gates& u,
               const Biases& biases, const View& tape, const View& y);
// U^T in panels
void recurrent_turned(const Place& at, const Gates& u, int units, int columns, float* out);
// Gates in the tape become their gradients. `aside` are three rows of units, where steps are products by themselves.
void recurrent_grad(const Place& at, const Steps& s, const View& dy, const Weight& turned,
                    const View& start, const View& aside, const View& tape);
void recurrent_input_grad(const Place& at, const Steps& s, const View& tape, const Gates& w,
                          const View& start, const View& dx, bool accumulate);

// The same step by step, of any size.
void recurrent_by_steps(const Place& at, const Steps& s, const View& start, const Gates& u,
                        const Biases& biases, const View& tape, const View& y);
void recurrent_grad_by_steps(const Place& at, const Steps& s, const View& dy, const Weight& turned,
                             const View& start, const View& aside, const View& tape);

// Of each position of a row some numbers, `each` from position to position.
struct Sown {
  View of;
  int each;
};
// dw (+)= x^T dz over the positions of all rows; as many of a row as `lengths` says, where it has memory.
void positions_grad_weight(const Place& at, const Sown& x, const Sown& dz, int positions,
                           const View& lengths, const Gates& dw, bool accumulate);

}  // namespace steep::cuda
