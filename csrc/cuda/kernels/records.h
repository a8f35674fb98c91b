// What recorded steps measure, as plain data: lengths of a parameter's weights, gradients and moves, and how
// activations are spread. Sums are in the CPU's order, so that rows are the CPU's where what is measured is.
#pragma once
#include "cuda/kernels/launch.h"

namespace steep::cuda {

// A task's part: squares of its weights before the step, of its gradient before and after clipping, and of what
// the step added.
struct TaskNorms { double weight, gradient, clipped, update; };

// How the tasks of a group are measured.
struct Noted {
  float* kept;       // weights before the step, a column of them
  TaskNorms* norms;  // of each task
  bool sweeps;  // the CPU measures in its sweep, where parameters have neither average nor bounds
  // Of a rule that looks ahead: the slot of its velocity, and columns of the knobs; v is -1 of others.
  int v, look, look_next;
};
// Weights before the step; gradients as they are before they are finished, `apart` where they are clipped together.
void note_before(const Place& at, const Group& group, const Column& column, const Noted& to,
                 bool apart);
// Finished gradients that are about to be scaled.
void note_clipped(const Place& at, const Group& group, const Column& column, const Noted& to);
// Weights after the step.
void note_after(const Place& at, const Group& group, const Column& column, const Noted& to);

// Rows of a table, of which a recorded step has one: numbers of each parameter, then of each watched op.
struct RecordTable {
  double* rows;
  long columns;
  const int* row;  // of each step of a call
};
// Tasks of parameter p lie from first[p] to first[p + 1].
void put_norms(const Place& at, const TaskNorms* norms, const int* first, int parameters,
               const RecordTable& to);

// Of one row of an op's output: its first element, sums of the distances from it and of their squares, and how
// many elements are saturated.
struct RowSums { double first, sum, squares, saturated; };
// Of all rows of a batch so far: how many elements, their mean, squares of the distances from it.
struct Spread { double count, mean, squares, saturated; };
// An op with an activation.
struct WatchedOp {
  int width, channels;
  float low, high;
  bool saturates;
  RowSums* rows;    // of the batch, or the part of it under way
  unsigned* alive;  // of each channel, whether it gave anything but 0
  Spread* spread;
};
// An output, right after it is there; sums of all `count` ops, once a pass is done; and the step's row.
void watch_rows(const Place& at, const WatchedOp& op, const View& out);
void add_watched(const Place& at, const WatchedOp* ops, int count);
void put_watched(const Place& at, const WatchedOp* ops, int count, int parameters,
                 const RecordTable& to);

}  // namespace steep::cuda
