// What the host asks of kernels that compute in dual numbers: plain data, and a function that enqueues each. Those of
// the same name that compute in floats are launch.h's.
#pragma once
#include "cuda/kernels/launch.h"

namespace steep::cuda {

// A value and its derivative along one direction, as base/dual.h has it, to be read at once.
struct alignas(16) DualNumber { double v, d; };

struct Duals {  // a tensor: rows of the batch
  DualNumber* data = nullptr;
  long ld = 0;
  int columns = 0;
};

// Rows of x are taken in so many positions each. `turned` says whether it is W^T that they meet, narrow that
// W is stored as W^T.
struct DualFactor {
  DualNumber* data = nullptr;
  Panels panels = {};
  bool narrow = false, turned = false;
  int positions = 1;
};

// ---- Ends ----

// point = weights and a direction, element by element; and the derivatives of a column, or its values.
void join_direction(cudaStream_t stream, const float* w, const double* along, long n,
                    DualNumber* point);
void take_derivatives(cudaStream_t stream, const DualNumber* from, long n, double* to);
void take_values(cudaStream_t stream, const DualNumber* from, long n, double* to);
// Of a matrix that is found column by column: along is the direction of the place whose turn it is, and of the
// gradient that came of it the derivatives at all places are kept, in as many columns as have room.
struct DualColumns {
  const long* places;
  long count;
  double* kept;  // (room, count)
  int room;
  int* turn;
};
void next_direction(cudaStream_t stream, const DualColumns& of, long n, double* along);
void keep_column(cudaStream_t stream, const DualColumns& of, const DualNumber* gradient);
// out = scale*x + shift, of samples that were gathered as they are
void widen(const Place& at, const View& x, double scale, double shift, const Duals& out);

// The derivatives of outputs, and what is given instead of a loss's gradient: both (rows, columns), or null for none
// and for 0. dz may be missing.
void turn_back(const Place& at, const Duals& z, const double* back, double* outputs,
               const Duals& dz);

// The gradient of a loss, times a factor that lies on the device; `curvature` leaves its derivative alone.
struct DualLoss {
  const double* factor;
  int number;  // among the step's terms
  bool curvature;
};
void loss(const Place& at, int index, double option, const Duals& z, const Truth& truth,
          const DualLoss& of, const Duals& dz);
// scale times the sum of a row
void mean_loss(const Place& at, double scale, const Duals& x, const Truth& truth,
               const DualLoss& of, const Duals& dx);

// ---- Products ----

// y = bias + x W
void matmul(const Place& at, const Duals& x, const DualFactor& w, const DualNumber* bias,
            const Duals& y);
// dx (+)= dz W^T
void matmul_grad(const Place& at, const Duals& dz, const DualFactor& w, bool accumulate,
                 const Duals& dx);
// dw (+)= x^T dz, as the weight is stored
void matmul_grad_weight(const Place& at, const Duals& x, const Duals& dz, const DualFactor& dw,
                        bool accumulate);
// out(c) (+)= sum of x(r, c), or of x(r, c)*y(r, c)
void column_sums(const Place& at, const Duals& x, const Duals& y, DualNumber* out, bool accumulate);

// ---- Each element by itself ----

void activate(const Place& at, int f, double alpha, const Duals& x, const Duals& y);
void activate_grad(const Place& at, int f, double alpha, const Duals& dy, const Duals& stored,
                   const Duals& dx, bool accumulate);
void combine(const Place& at, Pair how, const Duals& a, const Duals& b, const Duals& y,
             bool accumulate);
// The scale is times number `scalar` of the step, unless that is negative.
struct DualLine {
  double scale, shift;
  int scalar;
};
void affine(const Place& at, const DualLine& line, const Duals& x, const Duals& y, bool accumulate);
// The row is repeated every `period` columns; of plain numbers where it is the user's.
void add_row(const Place& at, const Duals& x, const DualNumber* row, int period, const Duals& y);
void add_row(const Place& at, const Duals& x, const double* row, int period, const Duals& y);
void multiply_row(const Place& at, const Duals& x, const DualNumber* row, int period,
                  const Duals& y, bool accumulate);
void multiply_row(const Place& at, const Duals& x, const double* row, int period, const Duals& y,
                  bool accumulate);
void divide_grad(const Place& at, const Duals& dy, const Duals& y, const Duals& b, const Duals& out,
                 bool accumulate);
void power(const Place& at, double exponent, const Duals& x, const Duals& y, bool accumulate);
void power_grad(const Place& at, double exponent, const Duals& dy, const Duals& x, const Duals& dx,
                bool accumulate);
void keep_within(const Place& at, double low, double high, const Duals& x, const Duals& y,
                 bool accumulate);
void keep_within_grad(const Place& at, double low, double high, const Duals& dy, const Duals& x,
                      const Duals& dx, bool accumulate);
void where_larger(const Place& at, const Duals& a, const Duals& b, const Duals& d, const Duals& y,
                  bool accumulate);
// Of a rate that is a number, or number `scalar` of the step where that is not negative.
struct DualMask {
  double rate, scale;
  int scalar;
};
void dropout(const Place& at, const Drawn& drawn, const DualMask& of, const Duals& x,
             const Duals& y, bool accumulate);

// fma(x, scale, shift) where it is kept, else `dropped`
struct DualShift { double rate, scale, shift, dropped; };
void alpha_dropout(const Place& at, const Drawn& drawn, const DualShift& of, const Duals& x,
                   const Duals& y);
// x + std*n
void add_noise(const Place& at, const Drawn& drawn, double std, const Duals& x, const Duals& y);
void prelu(const Place& at, const DualNumber* slopes, int channels, const Duals& x, const Duals& y);
void prelu_grad(const Place& at, const DualNumber* slopes, int channels, const Duals& dy,
                const Duals& x, const Duals& dx, bool accumulate);
void prelu_shares(const Place& at, const Duals& dy, const Duals& x, const Duals& out);
void maxout(const Place& at, int pieces, const Duals& x, const Duals& y);
void maxout_grad(const Place& at, int pieces, const Duals& dy, const Duals& x, const Duals& y,
                 const Duals& dx, bool accumulate);

// ---- Along rows ----

void softmax(const Place& at, int positions, const Duals& x, const Duals& y);
void softmax_grad(const Place& at, int positions, const Duals& dy, const Duals& y, const Duals& dx,
                  bool accumulate);
void copy_columns(const Place& at, const Columns& which, const Duals& x, const Duals& y,
                  bool accumulate);
void sum_axes(const Place& at, const Axes& axes, double scale, const Duals& x, const Duals& y,
              bool accumulate);
void repeat_axes(const Place& at, const Axes& axes, double scale, const Duals& x, const Duals& y,
                 bool accumulate);
void slice_axes(const Place& at, const Axes& axes, int first, int last, const Duals& x,
                const Duals& y);
void slice_axes_grad(const Place& at, const Axes& axes, int first, int last, const Duals& dy,
                     const Duals& dx, bool accumulate);

}  // namespace steep::cuda
