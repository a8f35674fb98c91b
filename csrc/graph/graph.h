// A network as a list of ops over tensors and parameters: what is computed, never where or how.
// Shapes leave out the batch; ops work sample by sample, but for those that crosses_samples() names.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/window.h"

namespace steep {

using Shape = std::vector<long>;
std::string text_of(const Shape& shape);

enum class Kind {
  Input,       // a row of the user's array, times scale plus shift
  MatMul,      // out = f(in0 W + b)
  MatMulGrad,  // out (+)= in0 W^T, then times f'(stored) where an activation's gradient is fused
  Activation,  // out = f(in0)
  ActivationGrad,  // out (+)= in0 * f'(in1); in1 is f's output or input, as f asks
  Add,             // out = in0 + in1
  Subtract,        // out = in0 - in1
  Multiply,        // out (+)= in0 * in1
  Affine,          // out (+)= scale*in0 + shift
  AddRow,          // out = in0 + p
  MultiplyRow,     // out (+)= in0 * p
  CopyColumns,     // out[to..to+n) (+)= in0[from..from+n), of every pixel
  Softmax,         // out = softmax(in0)
  SoftmaxGrad,     // out (+)= in1 * (in0 - sum(in0*in1))
  Dropout,         // out (+)= keep ? scale*in0 : 0; its own gradient
  Alias,           // out is in0 under another shape
  Loss,            // values and, into out, the gradient with respect to in0
  // Images.
  Conv,                // out = f(in0 correlated with W + b)
  ConvPack,            // out = W in the order ConvGrad (transposed) or a grouped Conv wants it
  ConvGrad,            // out (+)= gradient through W of in0, then times f'(stored)
  ConvGradWeight,      // out = gradients of W from in0 (x) and in1 (dy), one for each sample group
  SumPixels,           // out = sum of in0 over its pixels
  MaxPool,             // out = largest of each window
  MaxPoolGrad,         // out (+)= in2 where in0 is the largest, in1
  AvgPool,             // out = mean of each window
  AvgPoolGrad,         // out (+)= in0 / count, over each window
  LocalNorm,           // local response normalisation over channels
  LocalNormGrad,       // out (+)= gradient of in1 at in0
  Pad,                 // out = in0 with zeros around it
  Crop,                // out (+)= in0 without what Pad put around it
  BatchMoments,        // out = mean and squared distances of in0 over its pixels
  BatchStatistics,     // out = mean, 1/std, scale, variance over all samples, from in0
  FrozenStatistics,    // the same from the running statistics
  BatchNorm,           // out = f((in0 - mean)*scale + b [+ in2]); in1 the statistics
  BatchNormSums,       // out = sums of in0 (dy) and of dy*xhat; in1 = x, in2 = statistics
  BatchNormGradients,  // out = means of both over all samples, from in0; in1 = statistics
  BatchNormGrad,       // out (+)= gradient of in0 (dy); in1 = x, in2 = statistics, in3 = means
};

// Ops that read or write more than the rows of one sample: threads meet before and after them.
bool crosses_samples(Kind kind);

// What keeps every product of sizes far from overflow: each axis, kernel, stride, dilation and number
// of zeros is below kMostAxis; a sample, a parameter and an image with its zeros have at most
// kMostElements.
constexpr long kMostAxis = 1L << 31;
constexpr long kMostElements = 1L << 40;

struct Tensor {
  Shape shape;
  long width = 0;    // elements of one row; 0 where the plan knows
  long samples = 1;  // samples a row stands for: one, a group of them, or kAllSamples
};
constexpr long kAllSamples = -1;

struct Op {
  Kind kind;
  std::vector<int> in = {};  // tensors read
  int out = -1;              // tensor written
  int weight = -1;           // parameters read
  int bias = -1;
  bool accumulate = false;      // out += instead of out =
  int activation = -1;          // position in activations/list.h
  double alpha = 0;             // the activation's own number
  double scale = 1, shift = 0;  // Input, Affine; beta and bias of LocalNorm
  // Affine and Input: of each place of the last axis, instead of scale and shift.
  std::vector<double> scales = {}, shifts = {};
  long from = 0, to = 0, columns = 0;  // CopyColumns
  long pixels = 1;                     // CopyColumns, normalisations, SumPixels
  Window window = {};                  // convolutions and pools
  long groups = 1;                     // Conv
  bool transposed = false;             // ConvPack: for ConvGrad
  bool count_padding = false;          // AvgPool
  long size = 0;                       // LocalNorm: channels of a window
  long around[3] = {};                 // Pad, Crop: zeros before the first row, column, channel
  double momentum = 0, eps = 0;        // BatchStatistics
  int running[2] = {-1, -1};           // parameters: running mean and variance
  double rate = 0;                     // Dropout
  uint32_t stream = 0;
  bool redraw_epoch = false, scale_at_test = false;
  int stored = -1;  // MatMulGrad with a fused ActivationGrad: what f' reads
  int before = -1;  // MatMul with a fused activation whose f' reads its input: that input
  int loss = -1;    // Loss: position in losses/list.h, and its own number
  double loss_option = 0;
  int recompute = 0;       // the block whose activations are computed again for the backward pass
  std::string layer = {};  // who asked for it, for messages
};

struct Parameter {
  std::string name;
  Shape shape;   // (in, out), (n,) or, of a convolution, (height, width, in/groups, out)
  bool decay;    // penalties and decoupled decay apply
  bool trained;  // running statistics are not
};

using Pair = std::array<long, 2>;
using Padding = std::array<long, 4>;

// Builds a forward graph. Each method checks shapes, adds ops and returns the tensor it made;
// what does not fit is refused with the layer's name in front.
class Graph {
 public:
  int input(const Shape& shape);
  int parameter(const std::string& name, const Shape& shape, bool decay, bool trained = true);
  void name_next(const std::string& layer) { layer_ = layer; }
  void recompute(int block) { block_ = block; }  // of the ops that follow; 0 for none

  int matmul(int x, int weight, int bias);
  int activation(int x, const std::string& kind, double alpha);
  int add(int a, int b) { return binary(Kind::Add, a, b, "add"); }
  int subtract(int a, int b) { return binary(Kind::Subtract, a, b, "subtract"); }
  int multiply(int a, int b) { return binary(Kind::Multiply, a, b, "multiply"); }
  int affine(int x, double scale, double shift);
  int affine_channels(int x, const std::vector<double>& scales, const std::vector<double>& shifts);
  int add_row(int x, int parameter) { return row(Kind::AddRow, x, parameter, "add_row"); }
  int multiply_row(int x, int parameter) {
    return row(Kind::MultiplyRow, x, parameter, "multiply_row");
  }
  int concat(const std::vector<int>& tensors);
  int reshape(int x, const Shape& shape);
  int softmax(int x);
  int dropout(int x, double rate, bool redraw_epoch, bool scale_at_test);
  // Images (height, width, channels). Pairs are (rows, columns), padding is (top, bottom, left,
  // right).
  int conv2d(int x, int weight, int bias, Pair stride, const Padding& padding, Pair dilation,
             long groups);
  int max_pool(int x, Pair size, Pair stride, const Padding& padding) {
    return pool(Kind::MaxPool, x, size, stride, padding, false);
  }
  int avg_pool(int x, Pair size, Pair stride, const Padding& padding, bool count_padding) {
    return pool(Kind::AvgPool, x, size, stride, padding, count_padding);
  }
  int batch_norm(int x, int weight, int bias, int running_mean, int running_variance,
                 double momentum, double eps);
  int lrn(int x, long size, double alpha, double beta, double bias);
  int upsample(int x, Pair size);  // every pixel becomes size[0] by size[1] equal ones
  int zero_pad(int x, Pair rows, Pair columns, Pair channels);
  void output(const std::vector<int>& tensors);

  const Tensor& tensor(int id) const;
  const std::vector<Tensor>& tensors() const { return tensors_; }
  const std::vector<Op>& ops() const { return ops_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  int find_parameter(const std::string& name) const;  // its position, or -1
  const std::vector<int>& inputs() const { return inputs_; }
  const std::vector<int>& outputs() const { return outputs_; }

 private:
  int add_op(Op op, Shape shape);
  long checked_width(const Shape& shape) const;
  void check_axis(long size, const char* what) const;
  void check_frame(const Window& window, long filters, const Padding& padding) const;
  int binary(Kind kind, int a, int b, const char* what);
  int row(Kind kind, int x, int parameter, const char* what);
  const Parameter& parameter_of(int id) const;
  const Tensor& flat(int x, const char* what) const;
  const Tensor& image(int x, const char* what) const;
  Window window(int x, const char* what, Pair kernel, Pair stride, const Padding& padding,
                Pair dilation) const;
  int pool(Kind kind, int x, Pair size, Pair stride, const Padding& padding, bool count_padding);
  int add_copies(const std::vector<int>& tensors, Shape shape, long pixels);
  std::string where() const;

  std::vector<Tensor> tensors_;
  std::vector<Op> ops_;
  std::vector<Parameter> parameters_;
  std::unordered_map<std::string, int> by_name_;  // parameters
  std::vector<int> inputs_, outputs_;
  std::string layer_;
  int block_ = 0;
  uint32_t dropouts_ = 0;
};

}  // namespace steep
