// A network as a list of ops over tensors and parameters: what is computed, never where or how.
// Shapes leave out the batch; every op works sample by sample.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

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
  CopyColumns,     // out[to..to+n) (+)= in0[from..from+n)
  Softmax,         // out = softmax(in0)
  SoftmaxGrad,     // out (+)= in1 * (in0 - sum(in0*in1))
  Dropout,         // out (+)= keep ? scale*in0 : 0; its own gradient
  Alias,           // out is in0 under another shape
  Loss,            // values and, into out, the gradient with respect to in0
};

struct Tensor {
  Shape shape;
  long width = 0;  // elements of one sample
};

struct Op {
  Kind kind;
  std::vector<int> in = {};  // tensors read
  int out = -1;              // tensor written
  int weight = -1;           // parameters read
  int bias = -1;
  bool accumulate = false;  // out += instead of out =
  int activation = -1;      // position in activations/list.h
  double alpha = 0;         // the activation's own number
  double scale = 1, shift = 0;
  long from = 0, to = 0, columns = 0;  // CopyColumns
  double rate = 0;                     // Dropout
  uint32_t stream = 0;
  bool redraw_epoch = false, scale_at_test = false;
  int stored = -1;         // MatMulGrad with a fused ActivationGrad: what f' reads
  int before = -1;         // MatMul with a fused activation whose f' reads its input: that input
  std::string layer = {};  // who asked for it, for messages
};

struct Parameter {
  std::string name;
  Shape shape;  // (in, out) or (n,)
  bool decay;   // penalties and decoupled decay apply
};

// Builds a forward graph. Each method checks shapes, adds ops and returns the tensor it made;
// what does not fit is refused with the layer's name in front.
class Graph {
 public:
  int input(const Shape& shape);
  int parameter(const std::string& name, const Shape& shape, bool decay);
  void name_next(const std::string& layer) { layer_ = layer; }

  int matmul(int x, int weight, int bias);
  int activation(int x, const std::string& kind, double alpha);
  int add(int a, int b) { return binary(Kind::Add, a, b, "add"); }
  int subtract(int a, int b) { return binary(Kind::Subtract, a, b, "subtract"); }
  int multiply(int a, int b) { return binary(Kind::Multiply, a, b, "multiply"); }
  int affine(int x, double scale, double shift);
  int add_row(int x, int parameter) { return row(Kind::AddRow, x, parameter, "add_row"); }
  int multiply_row(int x, int parameter) {
    return row(Kind::MultiplyRow, x, parameter, "multiply_row");
  }
  int concat(const std::vector<int>& tensors);
  int reshape(int x, const Shape& shape);
  int softmax(int x);
  int dropout(int x, double rate, bool redraw_epoch, bool scale_at_test);
  void output(const std::vector<int>& tensors);

  const Tensor& tensor(int id) const;
  const std::vector<Tensor>& tensors() const { return tensors_; }
  const std::vector<Op>& ops() const { return ops_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<int>& inputs() const { return inputs_; }
  const std::vector<int>& outputs() const { return outputs_; }

 private:
  int add_op(Op op, Shape shape);
  int binary(Kind kind, int a, int b, const char* what);
  int row(Kind kind, int x, int parameter, const char* what);
  const Parameter& parameter_of(int id) const;
  const Tensor& flat(int x, const char* what) const;
  std::string where() const;

  std::vector<Tensor> tensors_;
  std::vector<Op> ops_;
  std::vector<Parameter> parameters_;
  std::vector<int> inputs_, outputs_;
  std::string layer_;
  uint32_t dropouts_ = 0;
};

}  // namespace steep
