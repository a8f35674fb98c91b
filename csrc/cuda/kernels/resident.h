// A training that stays in one block: its tensors, weights and slots in shared memory, the ops of a step as a list that
// the block goes through. Plain data, and a function that enqueues steps.
#pragma once
#include "cuda/kernels/divisor.h"
#include "cuda/kernels/launch.h"

namespace steep::cuda {

constexpr int kResidentThreads = 512;
constexpr int kMostRead = 4;  // arrays that a batch is read from, of inputs and of targets

// A tensor in shared memory, in floats from where tensors begin. What is read of the samples lies there twice: the next
// batch comes while one is used.
struct Spot {
  int at = -1, ld = 0, columns = 0;
  int next = 0;  // to the other one
  STEEP_HD bool any() const { return at >= 0; }
};

// How a matrix lies in a column, in whole numbers that are short: see Panels.
struct Packing {
  int rows = 0, width = 0;  // width with its padding
  STEEP_HD int begin(int panel) const { return panel * 32 * rows; }
  STEEP_HD int wide(int panel) const { return width - 32 * panel < 32 ? width - 32 * panel : 32; }
  STEEP_HD int at(int row, int column) const {
    return begin(column / 32) + row * wide(column / 32) + column % 32;
  }
};

// An op. Weights by their place in a column of the Store.
struct Node {
  enum Act {
    kRead,
    kProduct,
    kDots,  // a product by W^T of few outputs
    kActivation,
    kActivationGrad,
    kDropout,
    kSum,
    kAffine,
    kLoss
  } act;
  Spot x, y;   // what it takes, and what it makes; of a loss y is the gradient
  Spot other;  // of a product what its activation takes; of a gradient what that was
  int w = -1, bias = -1;
  Packing packing{};
  bool turned = false;  // W^T is met as it is stored
  bool grad = false;    // an activation's derivative is what the result is multiplied by
  bool accumulate = false;
  int f = -1;            // an activation, or a loss
  float alpha = 0;       // its own number
  Divisor by_columns{};  // of the quarters, or fours, of a row
  Drawn drawn{};         // of dropout, without the seed
  uint32_t threshold = 0;
  float scale = 1, shift = 0;
  const float *scales = nullptr, *shifts = nullptr;  // of what is read, in device memory, ...
  int period = 0;                                    // ... so many
  int number = 0;                                    // which array is read, ...
  bool target = false;                               // ... of those with targets
};
// A parameter's gradient: of a matrix the sums over rows of x(r, m) y(r, n), of a vector those of y(r, n).
struct Share {
  Spot x, y;
  int g;
  Packing packing;
  bool outer;
  Divisor by_columns;
};
// A parameter that moves.
struct Moved {
  int offset, size;  // in a column
  int knobs;         // its group's
  int first;         // its first task
  Ruled ruled;
};

// In shared memory, in bytes.
struct Places {
  int nodes = 0, shares = 0, moved = 0, tasks = 0;  // lists
  int columns = 0;                                  // weights, gradients, slots, the average
  int tensors = 0;
  int values = 0, correct = 0;  // of rows
  // Twice, `next` apart: what the loss takes of a batch's samples, and the step's row of each table.
  int labels = 0, weights = 0, targets = 0, row = 0, term = 0, knobs = 0, limits = 0, next = 0;
  int squares = 0, lengths = 0, scales = 0;  // of clipping
  int whole = 0;                             // its factor
  int bytes = 0;
};

struct Resident {
  const Node* nodes;
  const Share* shares;
  const Moved* moved;
  const Task* tasks;  // of `moved`
  int node_count, share_count, moved_count, task_count;
  Places at;
  float* weights;  // the column in device memory
  int column;      // numbers of one, of 32 at a time
  int size;        // those that there are
  int rule, slots;
  bool averages;
  bool apart = false;  // gradients are clipped together, by these lists
  Clip clip{};
  int rows;            // of a batch, at most
  int target_columns;  // of the loss
  Divisor by_targets{};
  Deal deal{};
  uint64_t seed = 0;
  Samples inputs[kMostRead]{}, targets[kMostRead]{};
  Truth truth{};
  Sums sums{};
};

// May a rule move the weights of a block?
bool stays(int rule);
// The next steps of the table, all of them in one launch.
void resident(const Place& at, const Resident& of, int steps);

}  // namespace steep::cuda
