// What a bound op works on: views of tensors and parameters, and what changes from step to step. Plain
// data, since the code of every instruction set reads it; who owns the memory is in plan.h.
#pragma once
#include <cstdint>

#include "base/panels.h"
#include "graph/objective.h"

namespace steep {

class Batcher;
class Halt;
template <class T> struct Kernels;

template <class T> struct View {  // a tensor in the Arena
  T* data = nullptr;
  long ld = 0;
  long columns = 0;  // true width
  STEEP_HD T* at(long r) const { return data + r * ld; }
  STEEP_HD long width() const { return padded(columns); }
};

// Of a pass in dual numbers: what goes backward from the outputs, and where their derivatives go.
struct Probe {
  enum Kind {
    kLoss,       // the loss's gradient, with its derivative
    kCurvature,  // the derivative alone: the loss's second derivative times the outputs'
    kGiven,      // `back`; targets and loss are not looked at
  };
  Kind kind = kLoss;
  const double* back = nullptr;  // (rows, columns), or null for 0
  double* outputs = nullptr;     // (rows, columns), or null
};

// What changes from step to step; written before the threads start on it.
template <class T> struct Step {
  const Batcher* batcher = nullptr;
  uint64_t epoch = 0;
  long batch = 0;
  uint64_t step = 0;  // updates done before this one: the counter of dropout masks
  uint64_t seed = 0;
  long first = 0;   // of the batch's samples, the one in row 0
  long passed = 0;  // samples of earlier batches, by which draws of predictions count, too
  long rows = 0;    // samples at once: all of the batch, or a part of it
  // Of each term's loss of a sample in the gradient: its weight/rows for the mean.
  T factors[kMostTerms] = {};
  // Of each term, of the sum over a sample's positions in its loss; 0 for 1.
  double shares[kMostTerms] = {};
  const double* scalars = nullptr;  // numbers of the step that ops go by
  long* order = nullptr;            // (rows) sample numbers
  T* scratch = nullptr;             // of one thread alone: set by the plan
  Halt* halt = nullptr;             // looked at between chunks of rows; null where a call is short
  const Probe* probe = nullptr;
  bool held = false;  // whether the samples are those of the last step, which are still there
  bool asks = false;  // whether this thread asks the caller: set by the plan
};

// Arrays with one value, or one target, a row of the batch. Losses and hits are those of one term; labels,
// weights and targets are read anew by each.
template <class T> struct PerRow {
  double* values = nullptr;   // loss of each sample
  double* correct = nullptr;  // 1 where it was right
  long* order = nullptr;      // sample numbers
  int32_t* labels = nullptr;
  T* weights = nullptr;  // of samples
  View<T> target = {};
};

// y = x*scale + shift by channels: the numbers of one pixel over and over, padding 0.
template <class T> struct ByChannel {
  const T* scale = nullptr;  // (padded width)
  const T* shift = nullptr;  // or null
};

constexpr int kMostTensors = 5, kMostParameters = 4;

template <class T> struct Work {
  const void* attributes = nullptr;  // the op's own, of ops/
  const Kernels<T>* k = nullptr;
  View<T> in[kMostTensors] = {}, out = {}, before = {}, stored = {};
  T* parameters[kMostParameters] = {};
  Panels weight = {};   // how the first parameter lies, ...
  bool narrow = false;  // ... as W^T
  bool accumulate = false;
  long samples = 1;            // that a row of out stands for
  const void* made = nullptr;  // once, by the binder: a Conv, a ByChannel, a PerRow

  // Where a fused activation finds its input.
  STEEP_HD const View<T>& inner() const { return before.data ? before : out; }
};

// Of rows or, where an op crosses samples, of units [lo, hi).
template <class T> using Call = void (*)(const Work<T>& work, const Step<T>& step, long lo,
                                         long hi);

// Rows of W^T that the gradient of a matrix product turns over at a time, in scratch memory.
constexpr long kTurned = 512;
STEEP_HD long turned_elements(long outputs) {
  return (outputs < kTurned ? outputs : kTurned) * kPanel;
}

// Positions of so many logits that their loss takes through scratch memory at a time.
STEEP_HD long padded_rows(long columns) {
  constexpr long kElements = 4096;
  return padded(columns) < kElements ? kElements / padded(columns) : 1;
}

}  // namespace steep
