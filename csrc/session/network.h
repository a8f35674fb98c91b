// A Network: a graph and the Store of its weights; forward passes over it.
#pragma once
#include <memory>
#include <vector>

#include "base/halt.h"
#include "cpu/plan.h"
#include "cpu/store.h"
#include "graph/graph.h"
#include "session/shelf.h"

namespace steep {

template <class T> class Network {
 public:
  explicit Network(std::shared_ptr<const Graph> graph);
  // A part of `whole`, on the same weights: places[i] is the whole's parameter that is its i-th.
  Network(std::shared_ptr<const Graph> graph, const Network& whole, const std::vector<int>& places);

  const Graph& graph() const { return *graph_; }
  const std::shared_ptr<Store<T>>& weights() const { return weights_; }

  // Forward pass over all samples in their own order; outs[i] is (samples, width) of output i. The
  // caller stands inside the weights' gate; any number of callers at once.
  void predict(const Dataset& data, long batch_size, const std::vector<T*>& outs, Halt& halt);
  long bytes();

 private:
  std::shared_ptr<const Graph> graph_;
  std::shared_ptr<Store<T>> weights_;
  Shelf<T> plans_;
};

// How many threads a batch of `cost` flops is worth.
int threads_for(double cost);

}  // namespace steep
