// Derives the backward pass of a graph, in terms of ops, and lists where parameters get gradients.
#pragma once
#include <vector>

#include "graph/graph.h"

namespace steep {

// One term of a parameter's gradient, summed over the samples of the batch.
struct GradTerm {
  enum class Form {
    Outer,       // x^T dy            (in, out)
    Sum,         // sum_r dy          (n,)
    SumProduct,  // sum_r x*dy        (n,)
    Partial,     // sum of dy over sample groups; dy is laid out as the parameter is stored
  } form;
  int x;                     // tensor, -1 for Sum and Partial
  int dy;                    // tensor
  bool second_half = false;  // the columns of dy that count
};

// Whether a convolution treats every channel alone.
inline bool is_depthwise(const Op& conv, const std::vector<Parameter>& parameters) {
  const Shape& w = parameters[conv.weight].shape;
  return conv.groups > 1 && w[2] == 1 && w[3] == conv.groups;
}

// Forward ops, loss, backward ops in order of execution; tensors of the graph come first, then
// their gradients. terms[p] are the gradient's terms of parameter p; empty where none reaches it.
struct Program {
  std::vector<Tensor> tensors;
  std::vector<Op> ops;
  std::vector<std::vector<GradTerm>> terms;
  std::vector<Parameter> parameters;
  std::size_t backward = 0;          // ops before this one are forward ops
  std::vector<int> inputs, outputs;  // tensors of the graph
};

// What a network is trained to make small.
struct Objective {
  int loss;       // position in losses/list.h
  double option;  // its own number
};

// Forward ops only; dropout resolved, batch normalisation by its running statistics.
Program inference(const Graph& graph);
// The same and the values of the loss of outputs()[0].
Program evaluation(const Graph& graph, const Objective& objective);
// The loss of outputs()[0] and everything its gradient needs; tensors that depend on no parameter
// get no gradient.
Program training(const Graph& graph, const Objective& objective);

}  // namespace steep
