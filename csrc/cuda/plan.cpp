// Binds a program: tensors in their places, ops to launches. Terms of gradients are in plan_terms.cpp.
#include "cuda/plan.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "cuda/kernels/attention.h"
#include "cuda/kernels/lay.h"
#include "cuda/libraries/dnn.h"
#include "cuda/libraries/lt.h"
#include "cuda/packs.h"
#include "cuda/places.h"
#include "cuda/records.h"

namespace steep::cuda {

void drop_packs(Program& program) {
  std::vector<bool> dead(program.ops.size()), gone(program.tensors.size());
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    const bool pack = program.ops[i].as<ops::ConvPack>() || program.ops[i].as<ops::RecurrentPack>();
    dead[i] = pack && !reads_pack(program.ops[i]);
    if (dead[i]) gone[program.ops[i].out] = true;
  }
  program.remove(dead);
  for (Op& op : program.ops) std::erase_if(op.in, [&](int x) { return gone[x]; });
}

namespace {

// The moments of positions are made by the norm that asked for them.
void join_norms(Program& program) {
  std::vector<bool> dead(program.ops.size());
  for (std::size_t i = 0; i + 1 < program.ops.size(); ++i) {
    const Op& moments = program.ops[i];
    Op& norm = program.ops[i + 1];
    const auto* of = norm.as<ops::FeatureNorm>();
    dead[i] = of != nullptr && of->by_position() && moments.as<ops::FeatureMoments>() != nullptr &&
              norm.in == std::vector{moments.in[0], moments.out};
    if (!dead[i]) continue;
    norm.before = moments.out;
    norm.in.pop_back();
  }
  program.remove(dead);
}

Program prepared(Program program, const Layout& weights, Products products, const Aid* aid) {
  for (Tensor& t : program.tensors) t.format = Format::Float32;
  prepare_recurrent(program);
  drop_packs(program);
  join_norms(program);
  for (Op& op : program.ops) {
    if (const auto* of = op.as<ops::AttentionGrad>()) {
      op.before = program.new_tensor({.width = of->heads * of->queries * kNoted});
    }
    const auto* gradient = op.as<ops::ConvGradWeight>();
    if (gradient == nullptr && op.as<ops::SparseMatMulGrad>() == nullptr) continue;
    const Slice& s = weights.slices[op.parameter(0)];
    program.tensors[op.out].width = s.size;
    program.tensors[op.out].samples =
        gradient == nullptr || kernel_gradients_at_once(aid, gradient->depthwise)
            ? kAllSamples
            : images_together(gradient->window, s.size);
  }
  store_narrow(program, weights, products);
  return program;
}

// Positions of a row that a loss may take one by one; the only one, too, where labels may be ignored.
long most_positions(const Program& program) {
  long most = 0;
  for (const LossTerm& term : program.losses) {
    const Tensor& of = program.tensors[term.tensor];
    const long positions = term.loss < 0         ? of.width
                           : of.shape.size() > 1 ? of.width / of.shape.back()
                                                 : 1;
    most = std::max(most, positions);
  }
  return most;
}

template <class A>
constexpr bool kHasKernel = requires(const A& op, const Bound& to) { bind(op, to); };

template <class T> long first_not_finite(const std::vector<T>& numbers) {
  const auto found =
      std::find_if(numbers.begin(), numbers.end(), [](T x) { return !std::isfinite(x); });
  return found == numbers.end() ? -1 : found - numbers.begin();
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
        [&]<class A>(const A&) {
          if (kHasKernel<A> || is_alias(op)) return;
          refuse(op.layer, op.layer.empty() ? "" : ": ", "device=\"cuda\": no kernel for ",
                 A::kName, " yet; use device=\"cpu\"");
        },
        op.what);
  }
}

void add(std::vector<Launch>& to, Launch launch) {
  if (launch) to.push_back(std::move(launch));
}

template <class... A> std::vector<std::string> lacking(List<A...>) {
  std::vector<std::string> names;
  const auto look = [&]<class Each>(const Each*) {
    const bool done =
        kHasKernel<Each> || std::is_same_v<Each, ops::ConvPack> || requires { Each::kAlias; };
    if (!done) names.emplace_back(Each::kName);
  };
  (look(static_cast<const A*>(nullptr)), ...);
  return names;
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

// Exactness is a promise that libraries do not make.
std::unique_ptr<Aid> Plan::aid_of(Products products, long capacity) {
  if (products == Products::Exact || !(lt::on() || dnn::on())) return nullptr;
  return std::make_unique<Aid>(
      Aid{products == Products::BFloat16, static_cast<int>(capacity), {}, {}});
}

Plan::Plan(Program program, std::shared_ptr<CudaStore> weights, long capacity, const Stream& stream,
           Products products, int number, std::shared_ptr<Memory> arena)
    : aid_(aid_of(products, capacity)),
      program_(prepared(std::move(program), weights->layout(), products, aid_.get())),
      watched_(steep::watched(program_)), weights_(std::move(weights)), capacity_(capacity),
      stream_(stream), number_(number), memory_(std::move(arena)), numbers_(stream) {
  check_ops(program_);
  const Schedule schedule(program_, capacity);
  allocate(schedule);
  for (std::size_t i = 0; i < program_.ops.size(); ++i) {
    bind(program_.ops[i], i >= program_.backward);
  }
  bind_terms();
  if (!aid_) return;
  aid_->here.allocate();
  aid_->beside.allocate();
}

void Plan::get_ready(long rows) const {
  if (!aid_) return;
  for (const auto& make : aid_->ready) make(static_cast<int>(rows));
}

namespace {

std::size_t bytes_of_positions(const Program& program, long capacity) {
  return static_cast<std::size_t>(2 * most_positions(program) * capacity) * sizeof(double);
}

}  // namespace

long Plan::bytes(Program program, const Layout& weights, long capacity, Products products) {
  Program all = prepared(std::move(program), weights, products, nullptr);
  check_ops(all);
  std::size_t more = bytes_of_positions(all, capacity);
  for (std::size_t p = 0; p < all.trains.size(); ++p) {
    for (const GradTerm& t : all.terms[p]) {
      if (all.trains[p]) more += bytes_of_buckets(t, capacity);
    }
  }
  return Schedule(all, capacity).bytes + static_cast<long>(more);
}

long Plan::bytes() const {
  std::size_t more = aid_ ? aid_->here.bytes() + aid_->beside.bytes() : 0;
  for (const Memory& buckets : buckets_) more += buckets.bytes();
  return static_cast<long>(memory_->bytes() + positions_.bytes() + more);
}

void Plan::allocate(const Schedule& schedule) {
  const auto bytes = static_cast<std::size_t>(schedule.bytes);
  if (!memory_ || memory_->bytes() < bytes) memory_ = std::make_shared<Memory>(bytes);
  buffers_ = places<float>(program_, schedule, *memory_, apart_);
  strides_ = schedule.stride;
  values_ = memory_->as<double>(schedule.values);
  correct_ = memory_->as<double>(schedule.correct);
  feed_.deal.order = memory_->as<long>(schedule.order);
  positions_ = Memory(bytes_of_positions(program_, capacity_));
  parts_ = positions_.as<double>();
}

View Plan::view(int tensor) const {
  if (tensor < 0) return {};
  const Tensor& of = program_.tensors[tensor];
  return {buffers_[tensor], strides_[tensor], static_cast<int>(of.width),
          of.format == Format::BFloat16};
}

float* Plan::parameter(int p) const {
  return p < 0 ? nullptr : weights_->column(0) + weights_->layout().slices[p].offset;
}

void Plan::bind(const Op& op, bool backward) {
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
  if (op.out >= 0) to.samples = static_cast<int>(program_.tensors[op.out].samples);
  to.feed = &feed_;
  to.aid = aid_.get();
  const int term = term_of(op);
  if (term >= 0) {
    to.losses = losses(term);
    backward_ = calls_.size() + 1;
  }
  to.deals = op.as<ops::Input>() && !std::exchange(dealt_, true);
  to.keep = [this](const std::vector<double>& numbers) { return numbers_.keep(numbers); };
  to.lay = [this](const SparseRows& a) { return numbers_.lay(a); };
  calls_.push_back({bound(op, to), op.out, op.layer, name_of(op), term, backward,
                    op.as<ops::Input>() != nullptr, watched_by(op)});
  std::visit(
      [&]<class A>(const A& a) {
        if constexpr (requires { cuda::follow(a, to); }) {
          add(follows_, cuda::follow(a, to));
          note_followed(op);
        }
        if constexpr (requires { cuda::check(a, to); }) add(checks_, cuda::check(a, to));
      },
      op.what);
}

void Plan::note_followed(const Op& op) {
  for (const int p : op.parameters) {
    if (p < 0 || weights_->layout().slices[p].trained) continue;
    followed_.push_back({parameter(p), weights_->layout().slices[p].size, Memory()});
  }
}

// The first that writes it: what computes it again writes the same.
int Plan::watched_by(const Op& op) const {
  for (std::size_t i = 0; i < watched_.size(); ++i) {
    if (watched_[i].tensor != op.out) continue;
    const auto same = [&](const Call& call) { return call.watched == static_cast<int>(i); };
    return std::any_of(calls_.begin(), calls_.end(), same) ? -1 : static_cast<int>(i);
  }
  return -1;
}

void Plan::read_from(const DeviceArrays& data, const Deal& deal, uint64_t seed) {
  feed_.deal = {deal.samples, deal.seed, deal.shuffle, feed_.deal.order, deal.dealt};
  feed_.seed = seed;
  feed_.inputs = data.inputs();
  feed_.targets = data.targets();
  feed_.augmented = data.augmented();
  feed_.augmented.seed = seed;
  feed_.truths.clear();
  for (const LossTerm& term : program_.losses) {
    feed_.truths.push_back(data.truth(term));
    feed_.truths.back().order = feed_.deal.order;
  }
}

void Plan::forward(const Place& at, bool held, const Records* records) const {
  const std::size_t last = backward_ > 0 ? backward_ : calls_.size();
  for (std::size_t i = 0; i < last; ++i) {
    const Call& call = calls_[i];
    if (!held || !call.reads) call.launch(at);
    if (records != nullptr && call.watched >= 0) records->note(at, call.watched, view(call.out));
  }
}

void Plan::backward(const Place& at) const {
  for (std::size_t i = backward_; i < calls_.size(); ++i) calls_[i].launch(at);
}

void Plan::check(const Place& at) const {
  for (const Launch& launch : checks_) launch(at);
}

void Plan::follow(const Place& at) const {
  for (const Launch& launch : follows_) launch(at);
}

void Plan::reserve_followed() {
  for (Followed& f : followed_) {
    if (f.kept.bytes() == 0) f.kept = Memory(static_cast<std::size_t>(f.n) * sizeof(float));
  }
}

void Plan::keep_followed(const Place& at) const {
  for (const Followed& f : followed_) keep_numbers(at, f.numbers, f.n, f.kept.as<float>());
}

void Plan::put_followed() const {
  for (const Followed& f : followed_) {
    cuda::check(cudaMemcpyAsync(f.numbers, f.kept.data(), f.kept.bytes(), cudaMemcpyDeviceToDevice,
                                stream_.get()),
                "statistics");
  }
}

long Plan::rows_in(int tensor, long rows) const {
  const long samples = program_.tensors[tensor].samples;
  return samples == kAllSamples ? 1 : ceil_div(rows, samples);
}

void Plan::lay_out(int tensor, long first, long rows, float* to) const {
  const View x = view(tensor);
  const long there = rows_in(tensor, rows), before = first * there * x.columns / rows;
  lay_rows({stream_.get(), {}, static_cast<int>(there)}, x, {to + before, x.columns, false});
}

std::vector<float> Plan::rows_of(int tensor, long rows) const {
  const View x = view(tensor);
  rows = rows_in(tensor, rows);
  const long width = x.columns;
  std::vector<float> padded_rows(static_cast<std::size_t>((rows - 1) * x.ld + width));
  if (x.bfloat16) {
    std::vector<uint16_t> halves(padded_rows.size());
    read(stream_, halves.data(), x.data, halves.size() * sizeof(uint16_t));
    std::transform(halves.begin(), halves.end(), padded_rows.begin(),
                   [](uint16_t h) { return std::bit_cast<float>(static_cast<uint32_t>(h) << 16); });
  } else {
    read(stream_, padded_rows.data(), x.data, padded_rows.size() * sizeof(float));
  }
  for (long r = 1; r < rows; ++r) {
    std::copy_n(padded_rows.begin() + r * x.ld, width, padded_rows.begin() + r * width);
  }
  padded_rows.resize(static_cast<std::size_t>(rows * width));
  return padded_rows;
}

long Plan::faulty_loss(int term, long rows) const {
  std::vector<double> values(static_cast<std::size_t>(rows));
  read(stream_, values.data(), losses(term).values, values.size() * sizeof(double));
  return first_not_finite(values);
}

bool Plan::finite_losses(long rows) const {
  for (std::size_t t = 0; t < program_.losses.size(); ++t) {
    if (faulty_loss(static_cast<int>(t), rows) >= 0) return false;
  }
  return true;
}

long Plan::faulty_row(const Call& call, long rows) const {
  const long found = first_not_finite(rows_of(call.out, rows));
  return found < 0 ? -1 : found / program_.tensors[call.out].width;
}

std::optional<Origin> Plan::first_fault(const Place& at) const {
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    const Call& call = calls_[i];
    call.launch(at);
    if (call.term >= 0) {
      const long row = faulty_loss(call.term, at.rows);
      if (row >= 0) return Origin{call.layer, call.op, "forward", row};
    }
    const bool more = i + 1 < calls_.size() && calls_[i + 1].out == call.out;
    if (call.out < 0 || more) continue;
    const long row = faulty_row(call, at.rows);
    if (row < 0) continue;
    const bool one = program_.tensors[call.out].samples == 1;
    return Origin{call.layer, call.op, call.backward ? "backward" : "forward", one ? row : -1};
  }
  return std::nullopt;
}

}  // namespace steep::cuda

namespace steep {

std::vector<std::string> cuda::lacks() { return cuda::lacking(ops::All{}); }

}  // namespace steep
