// A network as a list of ops over tensors and parameters: what is computed, never where or how. Shapes
// leave out the batch; ops work sample by sample, but for those that cross samples.
#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "ops/list.h"

namespace steep {

// Builds a forward graph. Each method checks shapes, adds ops and returns the tensor it made;
// what does not fit is refused with the layer's name in front.
class Graph {
 public:
  int input(const Shape& shape);
  int target(const Shape& shape, int number);  // a row of that array of targets; no input
  int parameter(const std::string& name, const Shape& shape, bool decay, bool trained = true);
  void constrain(int parameter, const std::string& kind, double limit);  // see Bound
  void name_next(const std::string& layer) { layer_ = layer; }
  void recompute(int block) { block_ = block; }  // of the ops that follow; 0 for none
  int add(ops::Attributes what, const std::vector<int>& in, const std::vector<int>& parameters);
  int concat(const std::vector<int>& tensors,
             long axis = -1);  // counted from the end where negative
  void output(const std::vector<int>& tensors);

  const Tensor& tensor(int id) const;
  const std::vector<Tensor>& tensors() const { return tensors_; }
  const std::vector<Op>& ops() const { return ops_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  int find_parameter(const std::string& name) const;  // its position, or -1
  const std::vector<int>& inputs() const { return inputs_; }
  const std::vector<int>& outputs() const { return outputs_; }

 private:
  std::string where() const { return layer_.empty() ? "" : layer_ + ": "; }
  long checked_width(const Shape& shape) const;
  int new_tensor(const Shape& shape);
  Parameter& checked(int parameter);
  void push(Op op);

  std::vector<Tensor> tensors_;
  std::vector<Op> ops_;
  std::vector<Parameter> parameters_;
  std::unordered_map<std::string, int> by_name_;  // parameters
  std::vector<int> inputs_, outputs_;
  std::string layer_;
  int block_ = 0;
  uint32_t draws_ = 0;  // random ops so far
};

}  // namespace steep
