// Walks a data set in its own order.
#include "cuda/forward.h"

#include <algorithm>

namespace steep::cuda {

CudaForward::CudaForward(Program program, std::shared_ptr<CudaStore> weights, long rows,
                         Products products)
    : outputs_(program.outputs), products_(products),
      plan_(std::move(program), std::move(weights), rows, stream_, products), data_(stream_),
      step_(sizeof(StepRow) + sizeof(Cursor)) {}

// Each batch is a data set of its own, whose first sample is row 0.
template <class Take>
void CudaForward::walk(const Batcher& data, uint64_t seed, Halt& halt, Take&& take) {
  Now now;
  now.rows = step_.as<StepRow>();
  now.cursor = step_.as<Cursor>(sizeof(StepRow));
  for (long b = 0; b < data.batches(); ++b) {
    halt.ask();
    if (halt.wanted()) return;
    const long first = b * data.batch_size(), rows = data.rows(b);
    data_.load(data.data(), first, rows);
    const StepRow row{0, 0, 0, static_cast<uint64_t>(first), static_cast<int>(rows), 0};
    write(stream_, step_.data(), &row, sizeof(row));
    plan_.read_from(data_, {static_cast<uint64_t>(rows), 0, false, nullptr}, seed);
    plan_.forward({stream_.get(), now, static_cast<int>(rows), products_});
    take(first, rows);
  }
}

void CudaForward::predict(const Batcher& data, uint64_t seed, const std::vector<void*>& outs,
                          Halt& halt) {
  walk(data, seed, halt, [&](long first, long rows) {
    for (std::size_t o = 0; o < outs.size(); ++o) {
      float* const out = static_cast<float*>(outs[o]);
      if (owner_of(out) >= 0) {
        plan_.lay_out(outputs_[o], first, rows, out);
        continue;
      }
      const std::vector<float> values = plan_.rows_of(outputs_[o], rows);
      const long width = static_cast<long>(values.size()) / rows;
      std::copy(values.begin(), values.end(), out + first * width);
    }
  });
  stream_.wait();
}

// Rows are added in order.
std::vector<Totals> CudaForward::evaluate(const Batcher& data, Halt& halt) {
  const std::vector<LossTerm>& terms = plan_.terms();
  std::vector<Totals> totals(terms.size());
  std::vector<double> values, correct;
  walk(data, 0, halt, [&](long first, long rows) {
    const auto n = static_cast<std::size_t>(rows);
    values.resize(n);
    correct.resize(n);
    for (std::size_t t = 0; t < terms.size(); ++t) {
      const Losses from = plan_.losses(static_cast<int>(t));
      read(stream_, values.data(), from.values, n * sizeof(double));
      read(stream_, correct.data(), from.correct, n * sizeof(double));
      const double* const weights = data.data().weights_of(terms[t].weights, terms[t].target);
      for (long r = 0; r < rows; ++r) {
        const double weight = weights ? weights[first + r] : 1.0;
        totals[t].loss += values[r];
        totals[t].correct += weight * correct[r];
        totals[t].weight += weight;
      }
    }
  });
  return totals;
}

}  // namespace steep::cuda
