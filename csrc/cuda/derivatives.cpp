// One batch goes up, a pass in dual numbers goes over it, products come down.
#include "cuda/derivatives.h"

#include <algorithm>

#include "cuda/packed.h"
#include "cuda/terms.h"

namespace steep::cuda {

namespace {

// Numbers of the step that ops and losses go by.
long scalars_of(const Program& program) {
  int last = -1;
  for (const LossTerm& term : program.losses) last = std::max(last, term.scalar);
  for (const Op& op : program.ops) {
    std::visit(
        [&](const auto& a) {
          if constexpr (requires { a.scalar; }) last = std::max(last, a.scalar);
        },
        op.what);
  }
  return last + 1;
}

constexpr long kTerms = sizeof(StepRow);
constexpr long kCursor = kTerms + kMostTerms * static_cast<long>(sizeof(TermRow));
constexpr long kScalars = kCursor + ceil_div(sizeof(Cursor), sizeof(double)) * sizeof(double);

}  // namespace

CudaDerivatives::CudaDerivatives(Program program, std::shared_ptr<CudaStore> weights,
                                 const Recipe& recipe)
    : program_(std::move(program)), weights_(std::move(weights)), recipe_(recipe),
      scalars_(scalars_of(program_)), samples_(stream_),
      step_(static_cast<std::size_t>(kScalars + scalars_ * static_cast<long>(sizeof(double)))),
      tangent_(program_, weights_, stream_, {}) {}

Feed CudaDerivatives::feed_of(const Batcher& data, bool of_outputs) const {
  Feed feed;
  feed.deal.samples = static_cast<uint64_t>(data.data().samples);
  feed.seed = recipe_.seed;
  feed.inputs = samples_.inputs();
  feed.targets = samples_.targets();
  feed.augmented = samples_.augmented();
  for (const LossTerm& term : program_.losses) {
    feed.truths.push_back(of_outputs ? Truth{} : samples_.truth(term));
  }
  return feed;
}

Place CudaDerivatives::place_of(const Batcher& data, Position at, const double* scalars,
                                bool of_outputs) {
  const long rows = data.rows(at.batch);
  StepRow row{};
  row.step = static_cast<uint64_t>(at.step);
  row.rows = static_cast<int>(rows);
  TermRow terms[kMostTerms] = {};
  for (std::size_t t = 0; t < program_.losses.size() && !of_outputs; ++t) {
    terms[t].share = share(program_.losses[t], recipe_, data, at);
  }
  const Cursor cursor{};
  write(stream_, step_.data(), &row, sizeof(row));
  write(stream_, step_.data() + kTerms, terms, sizeof(terms));
  write(stream_, step_.data() + kCursor, &cursor, sizeof(cursor));
  if (scalars_ > 0) {
    write(stream_, step_.data() + kScalars, scalars,
          static_cast<std::size_t>(scalars_) * sizeof(double));
  }
  Now now;
  now.rows = step_.as<StepRow>();
  now.terms = step_.as<TermRow>(kTerms);
  now.count = static_cast<int>(program_.losses.size());
  now.cursor = step_.as<Cursor>(kCursor);
  now.limits = step_.as<double>(kScalars);
  now.columns = static_cast<int>(scalars_);
  return {stream_.get(), now, static_cast<int>(rows)};
}

DualProbe CudaDerivatives::probe_of(const Derivative& wanted, long rows) {
  if (wanted.kind != Derivative::kOutputs) {
    const bool curved = wanted.kind == Derivative::kGaussNewton;
    return {.kind = curved ? DualProbe::kCurvature : DualProbe::kLoss};
  }
  const long count = rows * program_.tensors[program_.losses[0].tensor].width;
  const auto bytes = static_cast<std::size_t>(count) * sizeof(double);
  if (outputs_.bytes() < 2 * bytes) outputs_ = Memory(2 * bytes);
  double* const back = outputs_.as<double>();
  if (wanted.back != nullptr) write(stream_, back, wanted.back, bytes);
  return {.kind = DualProbe::kGiven,
          .back = wanted.back == nullptr ? nullptr : back,
          .outputs = wanted.outputs == nullptr ? nullptr : back + count};
}

void CudaDerivatives::derive(const Batcher& data, long step, const double* scalars,
                             const Derivative& wanted, Halt& halt) {
  halt.ask();
  if (halt.wanted()) return;
  const bool of_outputs = wanted.kind == Derivative::kOutputs;
  const Position at{0, 0, step};
  const long rows = data.rows(0);
  samples_.load(data.data(), 0, rows);
  tangent_.reserve(rows);
  tangent_.read_from(feed_of(data, of_outputs));
  const DualProbe probe = probe_of(wanted, rows);
  const Place place = place_of(data, at, scalars, of_outputs);
  const Layout& layout = weights_->layout();
  std::vector<double> along(static_cast<std::size_t>(layout.size));
  for (std::size_t p = 0; p < wanted.along.size(); ++p) {
    if (wanted.along[p] != nullptr) put_in(layout.slices[p], wanted.along[p], along.data());
  }
  if (!of_outputs) {
    tangent_.send_factors(factors(program_.losses, recipe_, data, at, scalars));
  }
  tangent_.send(along);
  tangent_.enqueue_product(place, false, probe);
  const double* const found = tangent_.fetch();
  if (probe.outputs != nullptr) {
    const long count = rows * program_.tensors[program_.losses[0].tensor].width;
    read(stream_, wanted.outputs, probe.outputs, static_cast<std::size_t>(count) * sizeof(double));
  }
  hand_out(wanted, along, found);
}

void CudaDerivatives::hand_out(const Derivative& wanted, const std::vector<double>& along,
                               const double* found) {
  const Layout& layout = weights_->layout();
  std::vector<double> product(found, found + layout.size);
  std::vector<float> w;
  const std::vector<double> l2 = by_parameter(
      recipe_, layout,
      wanted.kind == Derivative::kOutputs ? std::vector<double>(recipe_.rules.size()) : wanted.l2);
  if (std::any_of(l2.begin(), l2.end(), [](double x) { return x != 0; })) {
    w.resize(static_cast<std::size_t>(layout.size));
    read(stream_, w.data(), weights_->column(0), w.size() * sizeof(float));
  }
  for (std::size_t p = 0; p < wanted.gradients.size(); ++p) {
    if (wanted.gradients[p] == nullptr) continue;
    const Slice& s = layout.slices[p];
    for (long i = s.offset; l2[p] != 0 && i < s.offset + s.size; ++i) {
      product[i] = penalised(l2[p], w[i], along[i], product[i]);
    }
    take_out(s, product.data(), wanted.gradients[p]);
  }
}

}  // namespace steep::cuda
