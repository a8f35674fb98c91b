// The CPU kernel table: every hot function, once per instruction set. Only declarations live here.
//
// Conventions. A "row" is one sample. A matrix of activations is row-major with a leading dimension
// `ld*` counted in elements; its rows are padded to a multiple of kLane elements and kernels may read
// and write the padding. `width` is always a multiple of kLane unless it is called `columns`. What only
// one op needs is with that op, in cpu/ops.
// No kernel allocates, takes a lock or keeps state; no result depends on how rows are split.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/extent.h"
#include "base/panels.h"
#include "base/window.h"
#include "cpu/work.h"

namespace steep {

constexpr int kMaxSlots = 4;  // optimizer slots of the hungriest rule (Adan)
constexpr int kMaxTerms = 2;  // sums over a whole parameter that a rule of two passes may want

// C = relu?( init + sum_i A_i B_i ) over one panel of columns; init is C, the bias row, or zero.
// A_i(r, k) = a[a_offsets[i] + r*lda + k]  (or [.. + k*lda + r] when a_transposed)   (rows, depth)
// B_i(k, c) = b[b_offsets[i] + k*ldb + c]                                           (depth, columns)
// Each C(r, c) is summed over i, then k, in ascending order, whatever the tiling.
template <class T> struct GemmPanel {
  const T* a = nullptr;
  long lda = 0;
  bool a_transposed = false;
  const T* b = nullptr;
  long ldb = 0;
  T* c = nullptr;
  long ldc = 0;
  long rows = 0;
  long columns = 0;  // kLane or kPanel
  long depth = 0;
  long count = 1;                   // terms of the batch reduction
  const long* a_offsets = nullptr;  // (count), null when count is 1
  const long* b_offsets = nullptr;
  const T* bias = nullptr;      // (columns) or null
  const T* row_bias = nullptr;  // (rows) in its place: init is one number all along a row
  bool accumulate = false;      // init = C; excludes both
  bool relu = false;
  long present = 0;  // columns of C that there are, the others are left alone; 0 for all
};

// One sweep of an update rule over n flat parameters; g already holds penalties and value clipping.
//   w -= decay*w;  g *= scale;  rule(w, g, slots)
// Look-ahead rules: first w = point - look*v, and afterwards point = w + look_next*v. A rule of two
// passes first measures, and decays the weights itself.
template <class T> struct UpdateArgs {
  T* w;                 // (n) weights; for look-ahead rules the point, where the gradient is taken
  const T* g;           // (n)
  T* slots[kMaxSlots];  // (n) each; for look-ahead rules the last used slot is v
  long n;               // multiple of kLane
  const T* knobs;       // the rule's own knobs, in the order of its kKnobs
  T scale;              // gradient factor of clipping by norm, 1 when off
  T decay;              // decoupled decay, lr*weight_decay; 0 when off or not a decayed parameter
  T factor;             // second pass only: what factor() made of the sums over the parameter
  T* u;                 // (n) first pass of a rule that leaves a direction there, which may be g
};

// An average that follows the weights: average += rate*(w - average), and where they are pulled to it
// w = average. Of look-ahead rules w is found from the point, and the point from w again.
template <class T> struct AverageArgs {
  T* average;  // (n)
  T* w;        // (n), or the point
  const T* v;  // (n), null for other rules
  long n;      // multiple of kLane
  T look;
  T rate;  // 1 copies
  bool pull;
};

// Losses of `rows` samples, or positions: values, and the gradient of (factor_r * value_r) with respect to z.
template <class T> struct LossArgs {
  const T* z;  // (rows, ldz) logits or predictions
  long ldz;
  long columns;           // true outputs of a sample
  const int32_t* labels;  // (rows) class of each sample, or null
  const T* target;        // (rows, ldt) target values or probabilities, or null
  long ldt;
  const T* weights;  // (rows) sample weights, or null for ones
  T factor;          // 1/batch for the mean, 1 for the sum; enters dz only
  T option;          // Huber's delta, label smoothing
  double* values;    // (rows) weight * loss of each sample
  double* correct;   // (rows) 1 where the prediction is right, else 0; null for regression
  T* dz;             // (rows, lddz) or null; padding columns are set to 0
  long lddz;
  long rows;
  bool dense = false;  // no padding: of one column, or of labels of at most kLane classes
  // z and dz are (columns, rows), samples side by side and ld* from column to column. Of the same two kinds.
  bool turned = false;
};

// g(id - first, c) += dy(r, p, c) for the ids(r, p) in [first, first + count), in the order of samples and
// positions; `turned` blocks have ids along their columns.
template <class T> struct Scatter {
  const T* ids;  // (samples, ld_ids), or null: positions are their own
  long ld_ids;
  const T* dy;  // (samples, ld_dy), of each position `width` numbers
  long ld_dy;
  long samples, positions, width;
  long first, count;
  long skipped;  // an id that is passed over, or -1
  bool turned;
  T* g;
  long ldg;
  long columns;  // of dy that there are
};

template <class T> struct Kernels {
  const char* isa;
  long tile_rows;  // rows of the largest register tile

  void (*gemm_panel)(const GemmPanel<T>&);
  // dst(c, r) = src(r, c)
  void (*transpose)(const T* src, long lds, T* dst, long ldd, long rows, long columns);
  // y(n, r) = bias(n) + sum_c x(c, r) wt(n, c) of few outputs n, samples side by side; wt (outputs, columns) in
  // panels, x 0 from `columns` to the next multiple of kLane. Summed in kLane lanes over c, as rows are. `width`
  // is a multiple of kPanel, bias may be null. Null of dual numbers.
  void (*narrow_columns)(const T* x, long ldx, const T* wt, const T* bias, T* y, long ldy,
                         long columns, long outputs, long width);
  // Of samples side by side, whole vectors of rows of x at a time, which are 0 beyond the last. Null of dual
  // numbers. out(r) (+)= sum_c x(r, c), as column_sum adds rows up; and c(n, r) (+)= sum_s dz(n, s) x(r, s) of few
  // rows n, s in ascending order, `width` a multiple of kLane.
  void (*row_sum)(const T* x, long ldx, long rows, long columns, T* out, bool accumulate);
  void (*narrow_gradient)(const T* dz, long lddz, long outputs, const T* x, long ldx, long width,
                          long samples, T* c, long ldc, bool accumulate);
  // Of whole vectors, summed eight side by side as minimize/vectors.h does: a.b; and y += factor*x, after which
  // next.y, or 0 without a next. Null of dual numbers.
  double (*dot)(const T* a, const double* b, long n);
  double (*add_dot)(double factor, const T* x, double* y, const T* next, long n);
  // Indexed by the position of an op in ops/list.h, of a name in activations/list.h, losses/list.h,
  // rules/list.h.
  const Call<T>* calls;  // null for an alias
  void (*const* activate)(const T* x, long ldx, T* y, long ldy, long rows, long width, T alpha);
  // dx (+)= dy * f'(.), from the stored output y or the stored input x, as the activation asks
  void (*const* activate_grad)(const T* dy, long lddy, const T* stored, long lds, T* dx, long lddx,
                               long rows, long width, T alpha, bool accumulate);
  void (*const* loss)(const LossArgs<T>&);
  bool (*const* update)(const UpdateArgs<T>&);  // false when a new weight is not finite
  // Of a rule of two passes, else null: the first, and the number that the second gets for the sums
  // over all blocks of a parameter. That of weight_decay itself stands in `decay`.
  void (*const* measure)(const UpdateArgs<T>&, double* terms);
  double (*const* factor)(const double* terms, const Extent& of, const T* knobs, T decay);
  // Of a block of a matrix whose rule is factored, `width` columns wide: sums of the gradient's squares by
  // rows and by columns, and the first term; then the direction by factors of both, and the second term.
  void (*block_squares)(const UpdateArgs<T>&, long width, double* by_row, double* by_column,
                        double* terms);
  void (*block_direction)(const UpdateArgs<T>&, long width, const T* rows, const T* columns,
                          double* terms);
  void (*average)(const AverageArgs<T>&);
  // Look-ahead rules only. Before a run, w += look*v. After it w = point - look*v, in place or not,
  // so rounded that look_ahead gives the bits of the point again.
  void (*look_ahead)(T* w, const T* v, long n, T look);
  void (*look_back)(const T* point, const T* v, T* w, long n, T look);

  // g += l2*w + l1*sign(w), then clamp to +-clip_value (inf: off); the first returns sum g^2, in kSquareTurns sums
  double (*finish_gradient)(T* g, const T* w, long n, T l1, T l2, T clip_value);
  void (*penalise)(T* g, const T* w, long n, T l1, T l2, T clip_value);
  // out(c) (+)= sum_r x(r, c), or sum_r x(r, c)*y(r, c) when y is given
  void (*column_sum)(const T* x, long ldx, const T* y, long ldy, long rows, long width, T* out,
                     bool accumulate);
  bool (*all_finite)(const T* x, long n);
  bool (*all_within)(const T* x, long n, T limit);  // |x| <= limit: no NaN either

  // The kernels below take one image each; x, y, dx, dy are its first element. Vectors over channels
  // may be read up to the next multiple of kLane.

  // y(i, j, c) (+)= bias(c) + sum_t x(i*s + t*d - p, c) w(t, c); w is (taps, channels) in panels of
  // kPanel columns as Store lays it out, bias may be null. Gradients: of x (plus a bias, or null) and
  // of w (dw (+)=, in panels, padding set to 0).
  void (*depthwise)(const Window& w, const T* x, const T* weight, const T* bias, T* y,
                    bool accumulate);
  void (*depthwise_grad)(const Window& w, const T* dy, const T* weight, const T* bias, T* dx,
                         bool accumulate);
  void (*depthwise_grad_weight)(const Window& w, const T* x, const T* dy, T* dweight,
                                bool accumulate);
  // The transforms of F(2x2, 3x3), see winograd.h; null but for float. Position (i, j) of a tile, 0 to 3 each, lies at
  // (4i + j)*position; widths are multiples of kLane.
  // v = B^T d B for a row of tiles, two pixels apart, of four image rows: (tiles, channels) in each
  // position.
  void (*winograd_input)(const T* const* rows, long channels, long tiles, T* v, long position);
  // y (+)= A^T m A + bias, relu; `rows` (1 or 2) and `columns` are what there is of y.
  void (*winograd_output)(const T* m, long position, long filters, long tiles, const T* bias,
                          bool relu, bool accumulate, T* y, long y_row, long rows, long columns);
  // z = A dy A^T of `width` filters, (tiles, width) in each position.
  void (*winograd_gradient)(const T* dy, long dy_row, long filters, long width, long tiles,
                            long rows, long columns, T* z, long position);
  // u = G g G^T of n filters side by side; taps of g are `tap` apart, in reverse when turned.
  void (*winograd_filter)(const T* g, long tap, bool turned, long n, T* u, long position);
  // g (+)= G^T u G.
  void (*winograd_filter_gradient)(const T* u, long position, long n, T* g, long tap,
                                   bool accumulate);

  // dst = scale*src + shift for one row of `columns` elements `stride` bytes apart
  void (*read_f32)(const void* src, long stride, T* dst, long columns, T scale, T shift);
  void (*read_f64)(const void* src, long stride, T* dst, long columns, T scale, T shift);
  void (*read_u8)(const void* src, long stride, T* dst, long columns, T scale, T shift);
  void (*read_u16)(const void* src, long stride, T* dst, long columns, T scale, T shift);
  void (*read_i32)(const void* src, long stride, T* dst, long columns, T scale, T shift);
  void (*read_i64)(const void* src, long stride, T* dst, long columns, T scale, T shift);

  // A block of the gradient of a table; whether any id fell into it.
  bool (*scatter)(const Scatter<T>&);
};

// The table of the best instruction set that this processor and STEEP_MAX_ISA allow; for dual numbers,
// the portable one.
template <class T> const Kernels<T>& kernels();

}  // namespace steep
