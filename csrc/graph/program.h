// A Program: what a device runs for a graph, forward or forward and backward. What is computed, never
// where or how.
#pragma once
#include <vector>

#include "graph/graph.h"

namespace steep {

// Forward ops, loss, backward ops in order of execution; tensors of the graph come first, then
// their gradients. terms[p] are the gradient's terms of parameter p; empty where none reaches it.
struct Program {
  std::vector<Tensor> tensors;
  std::vector<Op> ops;
  std::vector<std::vector<GradTerm>> terms;
  std::vector<Parameter> parameters;
  std::size_t backward = 0;          // ops before this one are forward ops
  std::vector<int> inputs, outputs;  // tensors of the graph

  int new_tensor(Tensor tensor) {
    tensors.push_back(std::move(tensor));
    return static_cast<int>(tensors.size()) - 1;
  }
  void remove(const std::vector<bool>& dead);  // ops, by position
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

// The passes that training() is made of.
void lower(Program& program, bool training);                          // into what devices do
void derive_gradients(Program& program, const Objective& objective);  // adds loss and backward pass

}  // namespace steep
