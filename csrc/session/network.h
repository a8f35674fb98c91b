// A Network: a graph and the Store of its weights on a device; forward passes over it.
#pragma once
#include <memory>
#include <vector>

#include "session/shelf.h"

namespace steep {

class Network {
 public:
  Network(std::shared_ptr<const Graph> graph, Format format, const Device& device);
  // A part of `whole`, on the same weights: places[i] is the whole's parameter that is its i-th.
  Network(std::shared_ptr<const Graph> graph, const Network& whole, const std::vector<int>& places);

  const Graph& graph() const { return *graph_; }
  const std::shared_ptr<Store>& weights() const { return weights_; }
  const Device& device() const { return device_; }
  Format format() const { return weights_->layout().format; }

  // Forward pass over all samples in their own order; outs[i] is (samples, width) of output i. The
  // caller stands inside the weights' gate; any number of callers at once. The seed is of what is drawn.
  void predict(const Dataset& data, long batch_size, uint64_t seed, const std::vector<void*>& outs,
               Halt& halt);
  long bytes() { return weights_->bytes() + forwards_.bytes(); }

 private:
  std::shared_ptr<const Graph> graph_;
  const Device& device_;
  std::shared_ptr<Store> weights_;
  Shelf forwards_;
};

}  // namespace steep
