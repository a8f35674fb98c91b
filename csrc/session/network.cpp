// Forward passes: the plan is kept between calls, threads share the rows of each batch.
#include "session/network.h"

#include <algorithm>

#include "cpu/threads.h"

namespace steep {

int threads_for(double cost) {
  // Meeting at two barriers costs about a microsecond; below two of work each, threads lose.
  constexpr double kFlopsPerThread = 1.6e5;
  return std::clamp(static_cast<int>(cost / kFlopsPerThread), 1, pool().threads());
}

template <class T>
Network<T>::Network(std::shared_ptr<const Graph> graph)
    : graph_(std::move(graph)),
      weights_(std::make_shared<Store<T>>(std::make_shared<Layout>(graph_->parameters()), 1)) {}

template <class T>
Network<T>::Network(std::shared_ptr<const Graph> graph, const Network& whole,
                    const std::vector<int>& places)
    : graph_(std::move(graph)),
      weights_(std::make_shared<Store<T>>(
          std::make_shared<Layout>(graph_->parameters(), whole.weights_->layout(), places),
          *whole.weights_)) {}

template <class T> long Network<T>::bytes() { return weights_->bytes() + plans_.arena_bytes(); }

template <class T>
void Network<T>::predict(const Dataset& data, long batch_size, const std::vector<T*>& outs,
                         Halt& halt) {
  const auto plan = plans_.take(batch_size, [&](long rows) {
    return std::make_unique<Plan<T>>(inference(*graph_), kernels<T>(), weights_, rows);
  });
  const Batcher batcher(data, {.batch_size = batch_size}, 0);
  const auto& outputs = graph_->outputs();
  const int wanted = threads_for(plan->cost_per_row() * static_cast<double>(batcher.rows(0)));
  plan->reserve_threads(wanted);
  pool().run(wanted, [&](int thread, int threads) {
    plan->prepare(thread, threads);
    for (long b = 0; b < batcher.batches(); ++b) {
      if (thread == 0) halt.ask();
      if (halt.wanted()) return;
      Step<T> step;
      step.batcher = &batcher;
      step.batch = b;
      step.rows = batcher.rows(b);
      step.order = plan->order();
      step.halt = &halt;
      // The same rows in every batch, the short last one too: threads do not wait for each other.
      const long lo = std::min(step.rows, batch_size * thread / threads);
      const long hi = std::min(step.rows, batch_size * (thread + 1) / threads);
      plan->run_rows(step, thread, lo, hi);
      for (std::size_t o = 0; o < outputs.size(); ++o) {
        const long width = plan->width(outputs[o]);
        for (long r = lo; r < hi; ++r) {
          std::copy_n(plan->row(outputs[o], r), width, outs[o] + (b * batch_size + r) * width);
        }
      }
    }
  });
}

template class Network<float>;
template class Network<double>;

}  // namespace steep
