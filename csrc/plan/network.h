// A Network: a graph and the Store of its weights; forward plans over it.
#pragma once
#include <memory>

#include "graph/graph.h"
#include "plan/plan.h"
#include "plan/store.h"

namespace steep {

template <class T> class Network {
 public:
  explicit Network(std::shared_ptr<const Graph> graph);

  const Graph& graph() const { return *graph_; }
  const std::shared_ptr<Store<T>>& weights() const { return weights_; }

  // Forward pass over all samples in their own order; outs[i] is (samples, width) of output i.
  void predict(const Dataset& data, long batch_size, const std::vector<T*>& outs);
  long bytes() const;

 private:
  std::shared_ptr<const Graph> graph_;
  std::shared_ptr<Store<T>> weights_;
  std::unique_ptr<Plan<T>> plan_;  // of the largest batch so far
};

// How many threads a batch of `cost` flops is worth.
int threads_for(double cost);

}  // namespace steep
