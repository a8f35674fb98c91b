// Binds a program in dual numbers: tensors in their places, ops and the terms of gradients to launches.
#include "cuda/tangent_plan.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "cuda/kernels/tangent_images.h"
#include "cuda/packs.h"
#include "cuda/places.h"
#include "plan/conv_sums.h"

namespace steep::cuda {

namespace {

template <class A>
constexpr bool kHasTangent = requires(const A& op, const DualBound& to) { bind(op, to); };

Program prepared(Program program, const Layout& weights) {
  for (Tensor& t : program.tensors) t.format = Format::Dual;
  drop_packs(program);
  for (const Op& op : program.ops) {
    const auto* gradient = op.as<ops::ConvGradWeight>();
    if (gradient == nullptr) continue;
    const Slice& s = weights.slices[op.parameter(0)];
    Tensor& parts = program.tensors[op.out];
    parts.width = s.size;
    parts.samples =
        images_per_group(gradient->window, s.columns, gradient->groups, gradient->depthwise);
  }
  return program;
}

bool trains(const Program& program, std::size_t parameter) {
  return !program.trains.empty() && program.trains[parameter];
}

bool is_bound(const GradTerm& t) {
  const bool form = t.form == GradTerm::Form::Outer || t.form == GradTerm::Form::Sum ||
                    t.form == GradTerm::Form::SumProduct || t.form == GradTerm::Form::Partial;
  return form && t.lengths < 0 && !t.x_at.any() && !t.dy_at.any();
}

// Of samples as they are gathered.
long gathered_width(const Program& program) {
  long most = 0;
  for (const Op& op : program.ops) {
    if (op.as<ops::Input>()) most = std::max(most, program.tensors[op.out].width);
  }
  return spread(most);
}

std::size_t gathered_bytes(const Program& program, long capacity) {
  return static_cast<std::size_t>(gathered_width(program) * capacity) * sizeof(float);
}

Launch bound(const Op& op, const DualBound& to) {
  return std::visit(
      [&]<class A>(const A& a) -> Launch {
        if constexpr (kHasTangent<A>) return cuda::bind(a, to);
        return {};
      },
      op.what);
}

// Ops that have no kernels in dual numbers, and are refused by name; what is in neither list is an oversight.
using Without =
    List<ops::ConvPack, ops::Attention, ops::MaskedAttention, ops::AttentionGrad, ops::BatchMatMul,
         ops::Recurrent, ops::RecurrentPack, ops::RecurrentGrad, ops::RecurrentInputGrad,
         ops::Embedding, ops::AddTable, ops::StepDropout, ops::RReLU, ops::RReLUGrad, ops::GLU,
         ops::GLUGrad, ops::SpectralNorm, ops::SpectralVectors, ops::SpectralScale,
         ops::SpectralShares, ops::SparseProduct, ops::SparseMatMul, ops::SparseMatMulGrad,
         ops::SparseMatMulFactors, ops::KeptRows, ops::KeepRows, ops::NormalLike, ops::UniformLike,
         ops::Bernoulli, ops::Reparameterize, ops::ReparameterizeGrad>;

template <class A, class... Of> constexpr bool in(List<Of...>) {
  return (std::is_same_v<A, Of> || ...);
}
template <class... A> constexpr bool are_known(List<A...>) {
  return ((in<A>(Without{}) != (kHasTangent<A> || requires { A::kAlias; })) && ...);
}
static_assert(are_known(ops::All{}));

}  // namespace

void TangentPlan::check(const Program& program, const std::string& method) {
  for (const Op& op : program.ops) {
    std::visit(
        [&]<class A>(const A&) {
          // What is packed is packed for an op that comes.
          constexpr bool pack = in<A>(List<ops::ConvPack, ops::RecurrentPack>{});
          if (kHasTangent<A> || pack || is_alias(op)) return;
          refuse(op.layer, op.layer.empty() ? "" : ": ", "device=\"cuda\": no kernel for the ",
                 "derivatives of ", A::kName, " that ", method, " wants yet; use device=\"cpu\"");
        },
        op.what);
  }
  for (std::size_t p = 0; p < program.terms.size(); ++p) {
    const auto& terms = program.terms[p];
    if (!trains(program, p) || std::all_of(terms.begin(), terms.end(), is_bound)) continue;
    refuse("parameter \"", program.parameters[p].name, "\": device=\"cuda\": no kernel for the ",
           "derivatives of its gradient that ", method, " wants yet; use device=\"cpu\"");
  }
}

long TangentPlan::bytes(const Program& program, const Layout& weights, long capacity) {
  Program all = prepared(program, weights);
  return Schedule(all, capacity).bytes + static_cast<long>(gathered_bytes(all, capacity));
}

long TangentPlan::bytes() const { return static_cast<long>(memory_.bytes() + gathered_.bytes()); }

TangentPlan::TangentPlan(Program program, const Layout& weights, long capacity, DualNumber* point,
                         const double* factors, const Stream& stream)
    : program_(prepared(std::move(program), weights)), weights_(weights), capacity_(capacity),
      point_(point), factors_(factors), stream_(stream) {
  const Schedule schedule(program_, capacity);
  memory_ = Memory(static_cast<std::size_t>(schedule.bytes));
  gathered_ = Memory(gathered_bytes(program_, capacity));
  buffers_ = places<DualNumber>(program_, schedule, memory_, apart_);
  strides_ = schedule.stride;
  order_ = memory_.as<long>(schedule.order);
  for (const Op& op : program_.ops) {
    if (!is_alias(op)) bind(op);
  }
  for (std::size_t p = 0; p < program_.terms.size(); ++p) {
    if (trains(program_, p)) bind_terms(weights, static_cast<int>(p));
  }
}

Duals TangentPlan::view(int tensor) const {
  if (tensor < 0) return {};
  return {buffers_[tensor], strides_[tensor], static_cast<int>(program_.tensors[tensor].width)};
}

const double* TangentPlan::keep(const std::vector<double>& numbers) {
  numbers_.emplace_back(numbers.size() * sizeof(double));
  write(stream_, numbers_.back().data(), numbers.data(), numbers.size() * sizeof(double));
  return numbers_.back().as<double>();
}

void TangentPlan::bind(const Op& op) {
  DualBound to;
  for (const int x : op.in) to.in.push_back(view(x));
  to.out = view(op.out);
  to.before = view(op.before);
  to.stored = view(op.stored);
  const auto parameter = [&](int p) {
    return p < 0 ? nullptr : point_ + weights_.slices[p].offset;
  };
  for (const int p : op.parameters) to.parameters.push_back(parameter(p));
  if (const int p = op.parameter(0); p >= 0) {
    const Slice& s = weights_.slices[p];
    to.weight = {parameter(p), s.panels(), s.narrow};
  }
  to.accumulate = op.accumulate;
  to.samples = op.out < 0 ? 1 : static_cast<int>(program_.tensors[op.out].samples);
  to.feed = &feed_;
  to.probe = &probe_;
  to.factors = factors_;
  const bool reads = op.as<ops::Input>() != nullptr;
  to.deals = reads && !std::exchange(dealt_, true);
  to.gathered = {gathered_.as<float>(), gathered_width(program_), to.out.columns};
  to.keep = [this](const std::vector<double>& numbers) { return keep(numbers); };
  calls_.push_back({bound(op, to), reads});
}

void TangentPlan::bind_terms(const Layout& weights, int parameter) {
  const Slice& s = weights.slices[parameter];
  bool add = false;
  for (const GradTerm& t : program_.terms[parameter]) {
    const Duals x = view(t.x);
    Duals dy = view(t.dy);
    if (t.second_half) dy.data += dy.columns / 2;
    if (t.form == GradTerm::Form::Outer) {
      const DualFactor w{nullptr, s.panels(), s.narrow, false, static_cast<int>(t.positions)};
      terms_.push_back([=, at = s.offset](const Place& p, DualNumber* g) {
        DualFactor dw = w;
        dw.data = g + at;
        matmul_grad_weight(p, x, dy, dw, add);
      });
    } else if (t.form == GradTerm::Form::Partial) {
      const long samples = program_.tensors[t.dy].samples;
      terms_.push_back([=, panels = s.panels(), at = s.offset](const Place& p, DualNumber* g) {
        const long parts = samples == kAllSamples ? 1 : ceil_div(p.rows, samples);
        add_parts(p, dy, static_cast<int>(parts), {g + at, panels}, add);
      });
    } else {
      dy.columns = static_cast<int>(s.narrow ? s.rows : s.columns);
      const Duals by = t.form == GradTerm::Form::SumProduct ? x : Duals{};
      terms_.push_back([=, at = s.offset](const Place& p, DualNumber* g) {
        column_sums(p, dy, by, g + at, add);
      });
    }
    add = true;
  }
}

void TangentPlan::read_from(const Feed& feed) {
  feed_ = feed;
  feed_.deal.order = order_;
  for (Truth& truth : feed_.truths) truth.order = order_;
}

void TangentPlan::run(const Place& at, bool held, const DualProbe& probe,
                      DualNumber* gradient) const {
  probe_ = probe;
  for (const Call& call : calls_) {
    if (!held || !call.reads) call.launch(at);
  }
  for (const Term& term : terms_) term(at, gradient);
}

}  // namespace steep::cuda
