// What the host asks of the device: the data of a step as kernels read it, and a function that enqueues
// each kernel. Plain data only: who owns the memory is in the folder above.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "base/extent.h"
#include "base/format.h"
#include "base/panels.h"
#include "base/products.h"
#include "base/sparse_rows.h"
#include "data/change.h"

namespace steep::cuda {

constexpr int kMostSlots = 4;        // of the hungriest rule
constexpr int kMostKnobs = 16;       // a rule's own
constexpr unsigned kObjectives = 8;  // at most, of a step

// Throws what an error code means; nothing for success.
void check(cudaError_t error, const char* what);

// One step of a call, or a part of it, written by the host before it.
struct StepRow {
  uint64_t epoch, first, step;  // first: position of its first sample in the epoch
  uint64_t passed;  // samples of earlier batches, by which draws of predictions count, too
  int rows;
  int before;      // rows of the batch in earlier parts
  long there = 0;  // of data that are dealt, the row where its first sample lies
};
// What a step has for a loss.
struct TermRow {
  double share;  // of the sum over a sample's positions in its loss
  float factor;  // of each sample's loss in the gradient
};

// Where a call stands, on the device. What is not finite ends it: a loss before its objective moves anything, an
// update with its objective. Moments are counted by `when`, from 1 on.
struct Cursor {
  int at;               // row of the first step of the next graph
  unsigned bad_loss;    // 0, or the moment whose loss was not finite, ...
  unsigned bad_update;  // ... or whose weights
};

// The step a kernel belongs to. A graph may hold several: `ahead` is the place among them. One that goes in
// parts has a row for each.
struct Now {
  const StepRow* rows = nullptr;   // (steps, parts)
  const float* knobs = nullptr;    // (steps, columns) of the knob table
  const double* limits = nullptr;  // the same numbers in full, where gradients are clipped together
  const TermRow* terms = nullptr;  // (steps, count)
  int columns = 0, count = 0;
  Cursor* cursor = nullptr;
  int ahead = 0;
  int objective = 0, first = 0;  // whose, and its first column
  int parts = 1, part = 0;
  bool again = false;  // the second pass of a step: a loss that is not finite is its update's fault
  int scalars = 0;     // the column of the first number that ops go by
};

// Where a kernel goes.
struct Place {
  cudaStream_t stream;
  Now now;
  int rows;  // of the batch
  Products products = Products::Exact;
};

// A tensor: rows of the batch. Where it is bfloat16, data points at such numbers and only storage.cuh may read them:
// the plan gives them to kernels that do.
struct View {
  float* data = nullptr;
  long ld = 0;
  int columns = 0;
  bool bfloat16 = false;

  STEEP_HD View from_row(long r) const {
    View x = *this;
    x.data += bfloat16 ? r * ld / 2 : r * ld;  // rows are whole lanes
    return x;
  }
};

struct Weight {  // a matrix as the Store has it
  float* data = nullptr;
  Panels panels = {};
};

// ---- Samples, losses ----

// A data set in device memory: rows of floats or whole numbers, so many numbers apart.
struct Samples {
  const void* data;
  Format format;
  int columns;
  long stride;
};
struct Deal {  // which samples a batch has
  uint64_t samples, seed;
  bool shuffle;
  long* order;         // (rows) where each lies, written by the first input
  bool dealt = false;  // they lie in the order of the steps: the row says where, and not the number
};
// Images that are changed while they are read; nothing is drawn where there is no `fill`.
struct Augmented {
  Changes drawn{};
  int channels = 0;
  uint64_t seed = 0;
  const float* fill = nullptr;  // (channels)
};
// out = scale*sample + shift
void gather(const Place& at, const Deal& deal, const Samples& from, const Augmented& augmented,
            float scale, float shift, const View& out, bool first);

struct Truth {            // of a data set, for one loss
  const int32_t* labels;  // (samples), or null; ...
  long apart;             // ... from sample to sample
  const float* targets;   // (samples, columns), or null
  const double* weights;  // (samples), or null
  const long* order;      // (rows) where each sample lies
  // Of a loss that takes positions one by one: labels (samples, positions) are -1 where one does not
  // count.
  const float* each;  // (samples, positions) their weights, or null
  int positions;      // of a sample; 0 where it is taken as a whole
};
struct Losses {              // of one loss, ...
  double *values, *correct;  // (rows)
  double* parts;             // (2, rows, positions): the same of positions, where there are any
  int number;                // ... which is that of the step's
};
// There is a gradient where dz has memory.
void loss(const Place& at, int index, float option, const View& z, const Truth& truth,
          const Losses& out, const View& dz);
// scale times the sum of a row
void mean_loss(const Place& at, double scale, const View& x, const View& judged, const View& sides,
               const Truth& truth, const Losses& out, const View& dx);
// Sums over the rows of a step or its part, in order, to the same row of each; of a second pass nothing.
struct Sums { double *loss, *right, *weight; };
void record(const Place& at, const Losses& of, const Truth& truth, const Sums& to);
void advance(const Place& at, int steps);

// ---- Products ----

// By position in activations/list.h, with its number; negative for none.
struct Function {
  int f = -1;
  float alpha = 0;
};
// Rows of x are taken in so many positions each. `turned` says whether it is W^T that they meet, narrow that
// W is stored as W^T.
struct Factor {
  Weight w;
  bool narrow, turned;
  int positions;
};
// y = f(bias + x W); z, where it has memory, gets f's input.
void matmul(const Place& at, const View& x, const Factor& w, const float* bias, const Function& f,
            const View& y, const View& z);
// dx (+)= dz W^T, then times f'(stored)
void matmul_grad(const Place& at, const View& dz, const Factor& w, bool accumulate,
                 const Function& f, const View& stored, const View& dx);
// dw (+)= x^T dz, as the weight is stored; and into db, where it is not null, the sums of dz over the rows
void matmul_grad_weight(const Place& at, const View& x, const View& dz, const Factor& dw,
                        bool accumulate, float* db);
// g (+)= the sum of rows that lie as the matrix does
void add_parts(const Place& at, const View& parts, int count, const Weight& g, bool accumulate);
// out(c) (+)= sum of x(r, c), or of x(r, c)*y(r, c)
void column_sums(const Place& at, const View& x, const View& y, float* out, bool accumulate);

// ---- Products by a constant sparse matrix ----

// The rows of a matrix, or of its transpose, in device memory.
// y (+)= A x, of rows of so many channels
void sparse_product(const Place& at, const SparseRows& a, int channels, const View& x,
                    const View& y, bool accumulate);
// A weight W (columns of A, outputs); narrow: stored as W^T.
struct SparseFactor {
  SparseRows a;
  Weight w;
  bool narrow;
  int outputs;
};
// y = factors * (A W), a factor for each row of A
void sparse_matmul(const Place& at, const SparseFactor& of, const View& factors, const View& y);
// dw = A^T (factors * dz) over all samples, as W lies, by the rows of A^T
void sparse_matmul_grad(const Place& at, const SparseFactor& of, const View& dz,
                        const View& factors, float* dw);
// dx (+)= sums of dz (A W) over the outputs
void sparse_matmul_factors(const Place& at, const SparseFactor& of, const View& dz, const View& dx,
                           bool accumulate);

// ---- Each element by itself ----

void activate(const Place& at, int f, float alpha, const View& x, const View& y);
void activate_grad(const Place& at, int f, float alpha, const View& dy, const View& stored,
                   const View& dx, bool accumulate);
enum class Pair { kAdd, kSubtract, kMultiply, kDivide, kMaximum, kMinimum };
void combine(const Place& at, Pair how, const View& a, const View& b, const View& y,
             bool accumulate);
// The scale is times number `scalar` of the step, unless that is negative.
struct Line {
  double scale;
  float shift;
  int scalar;
};
void affine(const Place& at, const Line& line, const View& x, const View& y, bool accumulate);
// The row is repeated every `period` columns.
void add_row(const Place& at, const View& x, const float* row, int period, const View& y);
void multiply_row(const Place& at, const View& x, const float* row, int period, const View& y,
                  bool accumulate);
struct Columns { int from, to, columns, pixels; };
void copy_columns(const Place& at, const Columns& which, const View& x, const View& y,
                  bool accumulate);
// An image inside of a larger one.
struct Frame { int small[3], large[3], before[3]; };
void pad(const Place& at, const Frame& frame, const View& x, const View& y);
void crop(const Place& at, const Frame& frame, const View& x, const View& y, bool accumulate);
// Over each of a row's positions.
void softmax(const Place& at, int positions, const View& x, const View& y);
void softmax_grad(const Place& at, int positions, const View& dy, const View& y, const View& dx,
                  bool accumulate);

// ---- Quotients, powers, bounds; axes ----

// -dy y/b, of y = a/b
void divide_grad(const Place& at, const View& dy, const View& y, const View& b, const View& out,
                 bool accumulate);
// x^exponent, and dy exponent x^(exponent - 1)
void power(const Place& at, double exponent, const View& x, const View& y);
void power_grad(const Place& at, double exponent, const View& dy, const View& x, const View& dx,
                bool accumulate);
void keep_within(const Place& at, float low, float high, const View& x, const View& y);
void keep_within_grad(const Place& at, float low, float high, const View& dy, const View& x,
                      const View& dx, bool accumulate);
// a where b > d, half of it where they are equal
void where_larger(const Place& at, const View& a, const View& b, const View& d, const View& y,
                  bool accumulate);

struct Axes { int outer, n, inner; };  // of a row
// scale times the sums over n, ...
void sum_axes(const Place& at, const Axes& axes, float scale, const View& x, const View& y,
              bool accumulate);
// ... or scale times the row n times,
void repeat_axes(const Place& at, const Axes& axes, float scale, const View& x, const View& y,
                 bool accumulate);
// or [first, last) of n, and back.
void slice_axes(const Place& at, const Axes& axes, int first, int last, const View& x,
                const View& y);
void slice_axes_grad(const Place& at, const Axes& axes, int first, int last, const View& dy,
                     const View& dx, bool accumulate);

// ---- Draws ----

struct Drawn {
  uint64_t seed;
  uint32_t stream;
  bool by_epoch;  // one mask for all batches of an epoch
};
void dropout(const Place& at, const Drawn& drawn, uint32_t threshold, float scale, const View& x,
             const View& y, bool accumulate);
// One mask for all positions of a sample.
void step_dropout(const Place& at, const Drawn& drawn, uint32_t threshold, float scale,
                  int positions, const View& x, const View& y, bool accumulate);
// Its rate is number `scalar` of the step.
void dropout_of_step(const Place& at, const Drawn& drawn, int scalar, const View& x, const View& y,
                     bool accumulate);
void alpha_dropout(const Place& at, const Drawn& drawn, uint32_t threshold, float scale,
                   float shift, float dropped, const View& x, const View& y);
// Normal numbers of the words of a column and its neighbour, and uniform ones.
enum class Noise { kNormal, kAdded, kSampled, kSampledGrad };
// n; x + std*n; x + e^(v/2) n; x e^(v/2) n/2
void noise(const Place& at, const Drawn& drawn, Noise kind, float std, const View& x, const View& v,
           const View& out, bool accumulate);
void uniform(const Place& at, const Drawn& drawn, float low, float range, float high,
             const View& out);
void bernoulli(const Place& at, const Drawn& drawn, const View& p, const View& out);
// dy where x is positive, else slope*dy of a slope from lower to lower + 2^32*range
void random_slopes(const Place& at, const Drawn& drawn, float lower, float range, const View& dy,
                   const View& x, const View& out, bool accumulate);

void fill(const Place& at, float value, const View& out);

// ---- Rows that a step leaves to the next one ----

struct States {
  float* data;
  int width, rows;
  bool restarts;  // an epoch begins with zeros
};
void kept_rows(const Place& at, const States& from, const View& y);
void keep_rows(const Place& at, const View& next, const States& to);

// ---- Gates ----

void prelu(const Place& at, const float* slopes, int channels, const View& x, const View& y);
void prelu_grad(const Place& at, const float* slopes, int channels, const View& dy, const View& x,
                const View& dx, bool accumulate);
void prelu_shares(const Place& at, const View& dy, const View& x, const View& out);
void glu(const Place& at, int f, float alpha, int channels, const View& x, const View& y);
void glu_grad(const Place& at, int f, float alpha, int channels, const View& dy, const View& x,
              const View& dx, bool accumulate);
void maxout(const Place& at, int pieces, const View& x, const View& y);
void maxout_grad(const Place& at, int pieces, const View& dy, const View& x, const View& y,
                 const View& dx, bool accumulate);

// ---- Updates ----

// A block of a parameter: contiguous in a column of the Store.
struct Task {
  long offset;
  int size, parameter;
  int number;   // among the tasks of all parameters
  int columns;  // that lie beside each other
};
// What a task's parameter is moved by; pointers are such that an offset of the weights fits them.
struct Ruled {
  float* slots[kMostSlots];
  float* average;
  int decay;    // penalties and decay apply
  int bounded;  // each weight is brought back to [low, high], infinite where it is not
  float low, high;
  int waits;   // its average follows when whole columns are brought back
  int panels;  // of a matrix whose rows without a gradient stay as they are; 0 of others
  int first;   // its first task
  int turned;  // its rows are stored as columns
  STEEP_HD float within(float w) const { return w < low ? low : w > high ? high : w; }
};
struct Group {  // parameters of one rule and knobs
  const Task* tasks;
  int count;
  int knobs;  // the group's first column
  bool averages;
};
struct Column {
  float *w, *g;
  const Ruled* ruled;
  const double* scales;   // of each task, where gradients were clipped together, else null
  const double* factors;  // of each parameter whose rule has two passes
  const unsigned long long*
      moving;  // of each task: its rows that have a gradient, a bit each; or null
};
// The first pass of a rule that has two: sums over a whole parameter, and what the rule makes of them.
struct PassSums {
  const int* first;         // tasks of parameter p lie from first[p] to first[p + 1]
  const Extent* extents;    // of each parameter
  const int* owners;        // parameters of the group
  int parameters;           // how many
  double *terms, *factors;  // (tasks, 2), (parameters)
};
// A matrix whose rule has a number for each row and column, as it is stored; turned where rows are columns.
struct Factored {
  long offset, rows, columns, across;  // across: columns of a whole task
  int parameter, first, tasks;         // the first of its tasks
  bool turned;
  double *by_row,
      *by_column;       // sums of each panel's rows, and of each block of rows' columns, padded
  float *row, *column;  // factors of the mean squares
};
struct Matrices {
  const Factored* all;
  int count;
  const Task* tasks;  // of all of them, one after the other ...
  const int* owners;  // ... and whose: its place in `all`
  int task_count;
  int beta2, fresh, eps, least;  // columns of the group's knobs
};
// Of a rule that makes directions orthogonal, by X = X(aI + bA + cAA), A = X^T X: columns of the group's knobs.
struct QuinticKnobs { int a, b, c, eps, least; };
struct Plane {  // a matrix in scratch memory, row by row
  float* data;
  long ld;
  int rows, columns;
};
// A factor for each of the group's matrices, that makes its length less than 1, ...
void orthogonal_lengths(const Place& at, const PassSums& sums, int group_knobs,
                        const QuinticKnobs& of, float* factors);
// ... by which it becomes x; turned: as its transpose. And back.
void orthogonal_begin(const Place& at, const Panels& stored, bool turned, const float* from,
                      const float* factor, const Plane& x);
void orthogonal_end(const Place& at, const Panels& stored, bool turned, const Plane& x, float* to);
// left^T right, which is symmetric; aI + b gram + c gram^2; x q
void symmetric_product(const Place& at, const Plane& left, const Plane& right, const Plane& out);
void quintic_of(const Place& at, int group_knobs, const QuinticKnobs& of, const Plane& gram,
                const Plane& out);
void plain_product(const Place& at, const Plane& x, const Plane& q, const Plane& out);
void measure(const Place& at, int rule, const Group& group, const Column& column,
             const PassSums& sums, const Matrices& matrices);
void update(const Place& at, int rule, const Group& group, const Column& column);
// The rows of each task that have a gradient, where those of its parameter are looked at.
void find_moving(const Place& at, const Group& group, const Column& column,
                 unsigned long long* moving);
// Penalties and limits of single elements, in place; sums of squares of each task.
void finish(const Place& at, const Group& group, const Column& column, double* squares);
// Limits by norm: the factor of each task. Tasks of parameter p lie from first[p] to first[p + 1].
struct Clip {
  const int* first;
  const int* knobs;  // of each parameter: its group's first column
  int parameters;
  double *squares, *lengths, *scales;  // of each task, parameter, task
};
void clip(const Place& at, const Clip& clip);
// Up to the point where the gradient is taken anew (Foret et al. 2021), and back. Sums of squares of each of
// the group's tasks; what the gradient is multiplied by, from those of all `count` tasks; the way.
struct Uphill {
  bool adaptive;    // in the measure of each weight
  double* squares;  // of each task
  float* rate;
  float* kept;  // what the weights were, a column of them
};
void uphill_squares(const Place& at, const Group& group, const Column& column, const Uphill& to);
void uphill_rate(const Place& at, int count, const Uphill& to);
void go_uphill(const Place& at, const Group& group, const Column& column, const Uphill& to);
void come_back(const Place& at, const Group& group, const Column& column, const Uphill& from);
// to = from, unless the step changes nothing any more
void keep_numbers(const Place& at, const float* from, long n, float* to);
// Ends of a call by a look-ahead rule: to the point, or back, by column `look` of the knobs of `row`; bounded where
// it was left after a step.
void look(const Place& at, const Group& group, const Column& column, int v, int row, int look,
          bool back, bool bounded);
// Panels [first, last) of a parameter whose columns have a length.
struct Piece {
  Panels panels;
  long offset;
  int parameter, first, last;
  bool across;  // columns lie as rows
  bool unit;    // of length 1, or at most of
  double limit;
};
// Brings columns back, and then lets averages follow; a look-ahead rule has its velocity in slot v and a knob.
void bound_columns(const Place& at, const Piece* pieces, int count, const Column& column, int v,
                   int look, bool averages);
// *flag becomes 1 where an element is not finite.
void find_not_finite(cudaStream_t stream, const float* x, long n, unsigned* flag);

}  // namespace steep::cuda
