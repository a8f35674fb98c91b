// Makes networks; what a forward pass needs is kept between calls.
#include "session/network.h"

namespace steep {

Network::Network(std::shared_ptr<const Graph> graph, Format format, const Device& device)
    : graph_(std::move(graph)), device_(device),
      weights_(device.store(std::make_shared<Layout>(graph_->parameters(), format), 1)) {}

Network::Network(std::shared_ptr<const Graph> graph, const Network& whole,
                 const std::vector<int>& places)
    : graph_(std::move(graph)), device_(whole.device_),
      weights_(whole.weights_->part(
          std::make_shared<Layout>(graph_->parameters(), whole.weights_->layout(), places))) {}

void Network::predict(const Dataset& data, long batch_size, uint64_t seed,
                      const std::vector<void*>& outs, Halt& halt) {
  const Shelf::Loan forward = forwards_.take(
      batch_size, [&](long rows) { return device_.forward(inference(*graph_), weights_, rows); });
  forward->predict(Batcher(data, {.batch_size = batch_size}, 0), seed, outs, halt);
}

}  // namespace steep
