// Forward passes: the plan is kept between calls, threads share the rows of each batch.
#include "plan/network.h"

#include <algorithm>

#include "backend/cpu/pool.h"

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

template <class T> long Network<T>::bytes() const {
  return weights_->bytes() + (plan_ ? plan_->arena_bytes() : 0);
}

template <class T>
void Network<T>::predict(const Dataset& data, long batch_size, const std::vector<T*>& outs) {
  if (!plan_ || plan_->capacity() < batch_size) {
    plan_ =
        std::make_unique<Plan<T>>(*graph_, inference(*graph_), kernels<T>(), weights_, batch_size);
  }
  const Batcher batcher(data, batch_size, 0, false);
  const auto& outputs = graph_->outputs();
  const int wanted = threads_for(plan_->cost_per_row() * static_cast<double>(batcher.rows(0)));
  plan_->reserve_threads(wanted);
  pool().run(wanted, [&](int thread, int threads) {
    plan_->prepare(thread, threads);
    for (long b = 0; b < batcher.batches(); ++b) {
      Step<T> step;
      step.batcher = &batcher;
      step.batch = b;
      step.rows = batcher.rows(b);
      step.order = plan_->order();
      // The same rows in every batch, the short last one too: threads do not wait for each other.
      const long lo = std::min(step.rows, batch_size * thread / threads);
      const long hi = std::min(step.rows, batch_size * (thread + 1) / threads);
      plan_->run_rows(step, thread, lo, hi);
      for (std::size_t o = 0; o < outputs.size(); ++o) {
        const long width = plan_->width(outputs[o]);
        for (long r = lo; r < hi; ++r) {
          std::copy_n(plan_->row(outputs[o], r), width, outs[o] + (b * batch_size + r) * width);
        }
      }
    }
  });
}

template class Network<float>;
template class Network<double>;

}  // namespace steep
