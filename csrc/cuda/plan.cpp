// Binds a program: tensors in their places, ops to launches, terms of gradients to products and sums.
#include "cuda/plan.h"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

#include "base/error.h"

namespace steep::cuda {

namespace {

constexpr long kBlockRows = 64, kBlockColumns = 512;  // of a matrix, and of a vector

Program prepared(Program program) {
  for (Tensor& t : program.tensors) t.format = Format::Float32;
  return program;
}

template <class A>
constexpr bool kHasKernel = requires(const A& op, const Bound& to) { bind(op, to); };

// What of the op as it is has none all the same.
template <class A> const char* lacking(const A& op) {
  if constexpr (std::is_base_of_v<ops::Multiplying, A>) {
    if (op.positions != 1 || op.turned) return " of positions";
  }
  if constexpr (std::is_same_v<ops::Affine, A>) {
    if (op.scalar >= 0) return " by a schedule";
  }
  return "";
}

// Its term among those of its objective, -1 for what is no loss.
int term_of(const Op& op) {
  if (const auto* loss = op.as<ops::Loss>()) return loss->term;
  if (const auto* loss = op.as<ops::MeanLoss>()) return loss->term;
  return -1;
}

// Before anything is made: what has no kernel is refused at once.
void check_ops(const Program& program) {
  for (const Op& op : program.ops) {
    std::visit(
        [&]<class A>(const A& a) {
          const char* const lacks = lacking(a);
          if ((kHasKernel<A> && *lacks == 0) || is_alias(op)) return;
          refuse(op.layer, op.layer.empty() ? "" : ": ", "device=\"cuda\": no kernel for ",
                 A::kName, lacks, " yet; use device=\"cpu\"");
        },
        op.what);
  }
}

Launch bound(const Op& op, const Bound& to) {
  return std::visit(
      [&]<class A>(const A& a) -> Launch {
        if constexpr (kHasKernel<A>) return cuda::bind(a, to);
        return {};
      },
      op.what);
}

}  // namespace

Tasks::Tasks(const Layout& layout, const std::vector<bool>& moved) {
  for (std::size_t p = 0; p < layout.slices.size(); ++p) {
    const Slice& s = layout.slices[p];
    first.push_back(static_cast<int>(all.size()));
    if (!moved[p]) continue;
    const long length = s.matrix ? s.rows : padded(s.columns);
    const long step = s.matrix ? kBlockRows : kBlockColumns;
    for (long lo = 0; lo < length; lo += step) {
      for (long panel = 0; panel < (s.matrix ? s.panels().count() : 1); ++panel) {
        const long width = s.matrix ? s.panels().width(panel) : 1;
        const long offset = s.matrix ? s.panels().offset(panel) + lo * width : lo;
        all.push_back({s.offset + offset, static_cast<int>(std::min(step, length - lo) * width),
                       static_cast<int>(p), static_cast<int>(all.size())});
      }
    }
  }
  first.push_back(static_cast<int>(all.size()));
}

Plan::Plan(Program program, std::shared_ptr<CudaStore> weights, long capacity, const Stream& stream)
    : program_(prepared(std::move(program))), weights_(std::move(weights)), capacity_(capacity),
      stream_(stream) {
  check_ops(program_);
  const Schedule schedule(program_, capacity);
  allocate(schedule);
  for (const Op& op : program_.ops) bind(op);
  bind_terms();
}

long Plan::bytes(Program program, long capacity) {
  Program all = prepared(std::move(program));
  check_ops(all);
  return Schedule(all, capacity).bytes;
}

void Plan::allocate(const Schedule& schedule) {
  memory_ = Memory(static_cast<std::size_t>(schedule.bytes));
  for (const long offset : schedule.offset) {
    buffers_.push_back(offset < 0 ? nullptr : memory_.as<float>(offset));
  }
  strides_ = schedule.stride;
  values_ = memory_.as<double>(schedule.values);
  correct_ = memory_.as<double>(schedule.correct);
  feed_.deal.order = memory_.as<long>(schedule.order);
}

View Plan::view(int tensor) const {
  if (tensor < 0) return {};
  return {buffers_[tensor], strides_[tensor], static_cast<int>(program_.tensors[tensor].width)};
}

float* Plan::parameter(int p) const {
  return p < 0 ? nullptr : weights_->column(0) + weights_->layout().slices[p].offset;
}

const float* Plan::keep(const std::vector<double>& numbers) {
  const std::vector<float> narrow(numbers.begin(), numbers.end());
  numbers_.emplace_back(narrow.size() * sizeof(float));
  write(stream_, numbers_.back().data(), narrow.data(), narrow.size() * sizeof(float));
  return numbers_.back().as<float>();
}

void Plan::bind(const Op& op) {
  if (is_alias(op)) return;
  Bound to;
  for (const int x : op.in) to.in.push_back(view(x));
  to.out = view(op.out);
  to.before = view(op.before);
  to.stored = view(op.stored);
  for (const int p : op.parameters) to.parameters.push_back(parameter(p));
  if (const int p = op.parameter(0); p >= 0) {
    const Slice& s = weights_->layout().slices[p];
    to.weight = {parameter(p), s.panels()};
    to.narrow = s.narrow;
  }
  to.accumulate = op.accumulate;
  to.feed = &feed_;
  if (const int term = term_of(op); term >= 0) {
    to.losses = losses(term);
    backward_ = calls_.size() + 1;
  }
  to.deals = op.as<ops::Input>() && !std::exchange(dealt_, true);
  to.keep = [this](const std::vector<double>& numbers) { return keep(numbers); };
  calls_.push_back({bound(op, to), op.out, op.layer});
}

void Plan::bind_terms() {
  std::vector<bool> back(program_.tensors.size(), false);  // written on the way back
  for (std::size_t i = backward_; i < calls_.size(); ++i) {
    if (calls_[i].out >= 0) back[calls_[i].out] = true;
  }
  const auto waits = [&](const GradTerm& t) { return back[t.dy] || (t.x >= 0 && back[t.x]); };
  std::vector<bool> beside(program_.terms.size(), false);  // summed with the weight's product
  for (std::size_t p = 0; p < program_.terms.size(); ++p) {
    const int bias = program_.trains.empty() ? -1 : bias_of(static_cast<int>(p));
    if (bias >= 0) beside[bias] = true;
  }
  for (std::size_t p = 0; p < program_.terms.size(); ++p) {
    if (program_.trains.empty() || !program_.trains[p] || beside[p]) continue;
    const auto& terms = program_.terms[p];
    const bool late = std::any_of(terms.begin(), terms.end(), waits);
    const int parameter = static_cast<int>(p);
    bind_terms_of(parameter, bias_of(parameter), late ? late_ : early_);
  }
}

// The vector whose only term are the sums of what a matrix's only term is a product with; or -1. A
// vector is the first such matrix's.
int Plan::bias_of(int parameter) const {
  const auto only = [&](std::size_t p, GradTerm::Form form, int dy) {
    const auto& terms = program_.terms[p];
    return program_.trains[p] && terms.size() == 1 && terms[0].form == form &&
           !terms[0].second_half && (dy < 0 || terms[0].dy == dy);
  };
  const auto outer = GradTerm::Form::Outer;
  if (!only(static_cast<std::size_t>(parameter), outer, -1)) return -1;
  const int dy = program_.terms[parameter][0].dy;
  for (int p = 0; p < parameter; ++p) {
    if (only(static_cast<std::size_t>(p), outer, dy)) return -1;
  }
  for (std::size_t p = 0; p < program_.terms.size(); ++p) {
    const bool whole = weights_->layout().slices[p].columns == program_.tensors[dy].width;
    if (whole && only(p, GradTerm::Form::Sum, dy)) return static_cast<int>(p);
  }
  return -1;
}

void Plan::bind_terms_of(int parameter, int bias, std::vector<Term>& to) {
  const Slice& s = weights_->layout().slices[parameter];
  const long at_bias = bias < 0 ? -1 : weights_->layout().slices[bias].offset;
  bool accumulate = false;
  for (const GradTerm& t : program_.terms[parameter]) {
    View dy = view(t.dy);
    const View x = view(t.x);
    if (t.second_half) dy.data += dy.columns / 2;
    if (!s.matrix) dy.columns = static_cast<int>(s.columns);
    const long at = s.offset;
    const bool add = accumulate;
    switch (t.form) {
      case GradTerm::Form::Outer:
        to.push_back([=, panels = s.panels(), narrow = s.narrow](const Place& p, float* g) {
          float* const sums = at_bias < 0 ? nullptr : g + at_bias;
          matmul_grad_weight(p, x, dy, {g + at, panels}, narrow, add, sums);
        });
        break;
      case GradTerm::Form::Sum:
        to.push_back([=](const Place& p, float* g) { column_sums(p, dy, {}, g + at, add); });
        break;
      case GradTerm::Form::SumProduct:
        to.push_back([=](const Place& p, float* g) { column_sums(p, dy, x, g + at, add); });
        break;
      case GradTerm::Form::Partial:
        refuse(s.name, ": device=\"cuda\": no kernel for gradients by groups yet");
    }
    accumulate = true;
  }
  if (accumulate) return;
  to.push_back([at = s.offset, size = s.size](const Place& p, float* g) {
    check(cudaMemsetAsync(g + at, 0, static_cast<std::size_t>(size) * sizeof(float), p.stream),
          "gradients");
  });
}

void Plan::read_from(const DeviceData& data, uint64_t samples, uint64_t seed, bool shuffle) {
  feed_.deal = {samples, seed, shuffle, feed_.deal.order};
  feed_.inputs = data.inputs();
  feed_.targets = data.targets();
  feed_.truths.clear();
  for (const LossTerm& term : program_.losses) {
    feed_.truths.push_back(data.truth(term));
    feed_.truths.back().order = feed_.deal.order;
  }
}

void Plan::forward(const Place& at) const {
  const std::size_t last = backward_ > 0 ? backward_ : calls_.size();
  for (std::size_t i = 0; i < last; ++i) calls_[i].launch(at);
}

void Plan::backward(const Place& at) const {
  for (std::size_t i = backward_; i < calls_.size(); ++i) calls_[i].launch(at);
}

void Plan::early_gradients(const Place& at, float* column) const {
  for (const auto& term : early_) term(at, column);
}

void Plan::late_gradients(const Place& at, float* column) const {
  for (const auto& term : late_) term(at, column);
}

std::vector<float> Plan::rows_of(int tensor, long rows) const {
  const View x = view(tensor);
  const long width = x.columns;
  std::vector<float> padded_rows(static_cast<std::size_t>((rows - 1) * x.ld + width));
  read(stream_, padded_rows.data(), x.data, padded_rows.size() * sizeof(float));
  for (long r = 1; r < rows; ++r) {
    std::copy_n(padded_rows.begin() + r * x.ld, width, padded_rows.begin() + r * width);
  }
  padded_rows.resize(static_cast<std::size_t>(rows * width));
  return padded_rows;
}

std::string Plan::first_fault(const Place& at) const {
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    const Call& call = calls_[i];
    call.launch(at);
    const bool more = i + 1 < calls_.size() && calls_[i + 1].out == call.out;
    if (call.out < 0 || more) continue;
    for (const float x : rows_of(call.out, at.rows)) {
      if (!std::isfinite(x)) return call.layer;
    }
  }
  return "loss";
}

}  // namespace steep::cuda
