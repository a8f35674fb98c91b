// Puts weights and a direction together, runs the step and takes its gradient apart.
#include "cpu/tangent.h"

#include <cstring>

#include "cpu/threads.h"

namespace steep {

namespace {

// Of the same shapes, in another format: elements lie at the same places.
std::shared_ptr<const Layout> in_format(const Layout& layout, Format format) {
  auto other = std::make_shared<Layout>(layout);
  other->format = format;
  return other;
}

// Samples as a float32 training has them, whose derivatives these are.
template <class S>
void read_rounded(const void* from, long stride, portable::Dual* to, long columns,
                  portable::Dual scale, portable::Dual shift) {
  for (long c = 0; c < columns; ++c) {
    S value;
    std::memcpy(&value, static_cast<const char*>(from) + c * stride, sizeof value);
    const portable::Dual x = static_cast<double>(static_cast<float>(value));
    to[c] = portable::fma_(scale, x, shift);
  }
}

const Kernels<portable::Dual>& kernels_for(Format samples) {
  static const Kernels<portable::Dual> rounded = [] {
    Kernels<portable::Dual> table = kernels<portable::Dual>();
    table.read_f64 = read_rounded<double>;
    table.read_i32 = read_rounded<int32_t>;
    table.read_i64 = read_rounded<int64_t>;
    return table;
  }();
  return samples == Format::Float32 ? rounded : kernels<portable::Dual>();
}

}  // namespace

CpuTangent::CpuTangent(Program program, std::shared_ptr<Store> weights, const Recipe& recipe,
                       Format samples)
    : program_(std::move(program)), weights_(std::move(weights)), recipe_(recipe),
      samples_(samples), layout_(in_format(weights_->layout(), Format::Dual)),
      point_(std::make_shared<CpuStore<Dual>>(layout_, 1)), gradient_(layout_, 1),
      packed_(in_format(*layout_, Format::Float64), 1) {}

void CpuTangent::load(const double* along) {
  Dual* const to = point_->column(0);
  with_type(*weights_, [&]<class T>(const CpuStore<T>& weights) {
    const T* const w = weights.column(0);
    for (long i = 0; i < layout_->size; ++i) to[i] = {static_cast<double>(w[i]), along[i]};
  });
}

void CpuTangent::run(const Batcher& data, Position at, const double* scalars, const Probe& probe,
                     const std::vector<double>& l2, Halt* halt) {
  constexpr double kFlopsPerFlop = 8;  // of dual numbers, one at a time
  const long rows = data.rows(at.batch);
  if (!plan_ || plan_->capacity() < rows) {
    plan_ = std::make_unique<Plan<Dual>>(program_, kernels_for(samples_), point_, rows);
  }
  Step<Dual> step;
  step.batcher = &data;
  step.epoch = static_cast<uint64_t>(at.epoch);
  step.batch = at.batch;
  step.step = static_cast<uint64_t>(at.step);
  step.seed = recipe_.seed;
  step.rows = rows;
  step.scalars = scalars;
  const std::vector<double> by = divisors(program_.losses, recipe_, data, at);
  for (std::size_t t = 0; t < by.size(); ++t) {
    const double weight = program_.losses[t].weight_at(scalars);
    step.factors[t] = by[t] > 0 ? Dual(weight) / static_cast<Dual>(by[t]) : Dual(0);
    step.shares[t] = share(program_.losses[t], recipe_, data, at);
  }
  step.order = plan_->order();
  step.halt = halt;
  step.probe = &probe;
  const double n = static_cast<double>(rows), size = static_cast<double>(layout_->size);
  const int threads = threads_for(kFlopsPerFlop * n * (plan_->cost_per_row() + 2 * size));
  plan_->reserve_threads(threads);
  const std::vector<double> none(recipe_.rules.size());
  const Terms terms{by, by_parameter(recipe_, *layout_, none),
                    by_parameter(recipe_, *layout_, l2.empty() ? none : l2)};
  objective(*plan_, *point_, step, terms, gradient_.column(0), threads);
}

void CpuTangent::product(const Batcher& data, Position at, const double* scalars, Probe::Kind kind,
                         const std::vector<double>& l2, const double* along, double* product,
                         Halt* halt) {
  load(along);
  const Probe probe{.kind = kind};
  run(data, at, scalars, probe, l2, halt);
  const Dual* const g = gradient_.column(0);
  for (long i = 0; i < layout_->size; ++i) product[i] = g[i].d;
}

void CpuTangent::derive(const Batcher& data, long step, const double* scalars,
                        const Derivative& wanted, Halt& halt) {
  double* const packed = packed_.column(0);
  std::fill_n(packed, layout_->size, 0.0);
  for (std::size_t p = 0; p < wanted.along.size(); ++p) {
    if (wanted.along[p] != nullptr) packed_.set(0, static_cast<int>(p), wanted.along[p]);
  }
  load(packed);
  const bool outputs = wanted.kind == Derivative::kOutputs;
  const Probe probe{.kind = outputs                                   ? Probe::kGiven
                            : wanted.kind == Derivative::kGaussNewton ? Probe::kCurvature
                                                                      : Probe::kLoss,
                    .back = wanted.back,
                    .outputs = outputs ? wanted.outputs : nullptr};
  run(data, {0, 0, step}, scalars, probe, outputs ? std::vector<double>{} : wanted.l2, &halt);
  if (halt.wanted()) return;
  // Of outputs the gradient is a value, of an objective the derivative of one.
  const Dual* const g = gradient_.column(0);
  for (long i = 0; i < layout_->size; ++i) packed[i] = outputs ? g[i].v : g[i].d;
  for (std::size_t p = 0; p < wanted.gradients.size(); ++p) {
    if (wanted.gradients[p] != nullptr) packed_.get(0, static_cast<int>(p), wanted.gradients[p]);
  }
}

}  // namespace steep
