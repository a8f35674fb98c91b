// A Program: what a device runs for a graph, forward or forward and backward. What is computed, never
// where or how.
#pragma once
#include <utility>
#include <vector>

#include "graph/graph.h"
#include "graph/objective.h"

namespace steep {

// Forward ops, loss, backward ops in order of execution; tensors of the graph come first, then
// their gradients. terms[p] are the gradient's terms of parameter p; empty where none reaches it.
struct Program {
  std::vector<Tensor> tensors;
  std::vector<Op> ops;
  std::vector<std::vector<GradTerm>> terms;
  std::vector<Parameter> parameters;
  std::size_t backward = 0;          // ops before this one are forward ops
  std::size_t of_graph = 0;          // tensors before this one are the graph's
  std::vector<int> inputs, outputs;  // tensors of the graph
  std::vector<LossTerm> losses = {};
  std::vector<bool> trains = {};                // of each parameter: does the gradient move it?
  bool repeats = false;                         // passes over the same samples follow each other
  std::vector<std::pair<int, int>> again = {};  // tensors computed twice, and the second time

  int new_tensor(Tensor tensor) {
    tensors.push_back(std::move(tensor));
    return static_cast<int>(tensors.size()) - 1;
  }
  void remove(const std::vector<bool>& dead);  // ops, by position
};

// Forward ops only; dropout resolved, batch normalisation by its running statistics.
Program inference(const Graph& graph);
// What terms need of the same, and their values.
Program evaluation(const Graph& graph, const std::vector<LossTerm>& terms);
// The terms of an objective and everything their gradient needs; tensors that depend on no parameter it
// trains get no gradient.
Program training(const Graph& graph, const Objective& objective);

// The passes that training() is made of.
// Into what devices do; without an objective as after training.
void lower(Program& program, const Objective* objective);
Op loss_of(const LossTerm& term, int number);  // that term, of so many
void derive_gradients(Program& program);       // adds losses and the backward pass

}  // namespace steep
