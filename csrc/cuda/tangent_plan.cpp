// Binds a program in dual numbers: tensors in their places, ops and the terms of gradients to launches.
#include "cuda/tangent_plan.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "cuda/kernels/tangent_images.h"
#include "cuda/kernels/tangent_recurrent.h"
#include "cuda/kernels/tangent_tables.h"
#include "cuda/packs.h"
#include "cuda/places.h"
#include "plan/conv_sums.h"

namespace steep::cuda {

namespace {

template <class A>
constexpr bool kHasTangent = requires(const A& op, const DualBound& to) { bind(op, to); };

Program prepared(Program program, const Layout& weights) {
  for (Tensor& t : program.tensors) t.format = Format::Dual;
  read_weights_as_stored(program);
  drop_packs(program);
  for (const Op& op : program.ops) {
    const auto* gradient = op.as<ops::ConvGradWeight>();
    if (gradient == nullptr && op.as<ops::SparseMatMulGrad>() == nullptr) continue;
    const Slice& s = weights.slices[op.parameter(0)];
    Tensor& parts = program.tensors[op.out];
    parts.width = s.size;
    parts.samples = gradient == nullptr ? kAllSamples
                                        : images_per_group(gradient->window, s.columns,
                                                           gradient->groups, gradient->depthwise);
  }
  return program;
}

bool trains(const Program& program, std::size_t parameter) {
  return !program.trains.empty() && program.trains[parameter];
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

std::size_t room_bytes(const Program& program, long capacity) {
  long most = 0;
  const auto look = [&]<class A>(const A& a) {
    if constexpr (requires { room(a, capacity); }) most = std::max(most, room(a, capacity));
  };
  for (const Op& op : program.ops) std::visit(look, op.what);
  return static_cast<std::size_t>(most) * sizeof(DualNumber);
}

Launch bound(const Op& op, const DualBound& to) {
  return std::visit(
      [&]<class A>(const A& a) -> Launch {
        if constexpr (kHasTangent<A>) return cuda::bind(a, to);
        return {};
      },
      op.what);
}

// Every op has kernels in dual numbers, but what packs weights for others: that is dropped.
using Packs = List<ops::ConvPack, ops::RecurrentPack>;

template <class A, class... Of> constexpr bool in(List<Of...>) {
  return (std::is_same_v<A, Of> || ...);
}
template <class... A> constexpr bool have_kernels(List<A...>) {
  return ((in<A>(Packs{}) != (kHasTangent<A> || requires { A::kAlias; })) && ...);
}
static_assert(have_kernels(ops::All{}));

}  // namespace

long TangentPlan::bytes(const Program& program, const Layout& weights, long capacity) {
  Program all = prepared(program, weights);
  return Schedule(all, capacity).bytes +
         static_cast<long>(gathered_bytes(all, capacity) + room_bytes(all, capacity));
}

long TangentPlan::bytes() const {
  return static_cast<long>(memory_.bytes() + gathered_.bytes() + room_.bytes());
}

TangentPlan::TangentPlan(Program program, const Layout& weights, long capacity, DualNumber* point,
                         const double* factors, const Stream& stream)
    : program_(prepared(std::move(program), weights)), weights_(weights), capacity_(capacity),
      point_(point), factors_(factors), stream_(stream), numbers_(stream) {
  const Schedule schedule(program_, capacity);
  memory_ = Memory(static_cast<std::size_t>(schedule.bytes));
  gathered_ = Memory(gathered_bytes(program_, capacity));
  room_ = Memory(room_bytes(program_, capacity));
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
  to.room = room_.as<DualNumber>();
  const bool reads = op.as<ops::Input>() != nullptr;
  to.deals = reads && !std::exchange(dealt_, true);
  to.gathered = {gathered_.as<float>(), gathered_width(program_), to.out.columns};
  to.keep = [this](const std::vector<double>& numbers) { return numbers_.keep(numbers); };
  to.lay = [this](const SparseRows& a) { return numbers_.lay(a); };
  calls_.push_back({bound(op, to), reads});
}

void TangentPlan::bind_terms(const Layout& weights, int parameter) {
  const Slice& s = weights.slices[parameter];
  bool add = false;
  for (const GradTerm& t : program_.terms[parameter]) {
    const Duals x = view(t.x);
    Duals dy = view(t.dy);
    if (t.second_half) dy.data += dy.columns / 2;
    const auto small = [](long n) { return static_cast<int>(n); };
    const int inputs = small(s.narrow ? s.columns : s.rows);
    const int outputs = small(s.narrow ? s.rows : s.columns);
    if (t.form == GradTerm::Form::Outer) {
      const auto sown = [&](Duals of, const Stride& by, int width) {
        const long each = by.each > 0 ? by.each : of.columns / t.positions;
        of.data += by.first;
        return DualSown{of, small(each), width};
      };
      terms_.push_back([=, left = sown(x, t.x_at, inputs), right = sown(dy, t.dy_at, outputs),
                        lengths = view(t.lengths), positions = small(t.positions),
                        panels = s.panels(), narrow = s.narrow,
                        at = s.offset](const Place& p, DualNumber* g) {
        positions_grad_weight(p, left, right, positions, lengths, {g + at, panels, narrow}, add);
      });
    } else if (t.form == GradTerm::Form::Scatter) {
      const DualTable table{nullptr, s.panels(), s.narrow, inputs, outputs, small(t.positions)};
      terms_.push_back(
          [=, at = s.offset, skipped = small(t.skipped)](const Place& p, DualNumber* g) {
            DualTable dw = table;
            dw.data = g + at;
            x.data ? scatter_rows(p, dw, skipped, x, dy, add) : sum_tables(p, dw, dy, add);
          });
    } else if (t.form == GradTerm::Form::Partial) {
      const long samples = program_.tensors[t.dy].samples;
      terms_.push_back([=, panels = s.panels(), at = s.offset](const Place& p, DualNumber* g) {
        const long parts = samples == kAllSamples ? 1 : ceil_div(p.rows, samples);
        add_parts(p, dy, static_cast<int>(parts), {g + at, panels}, add);
      });
    } else {
      dy.data += t.dy_at.first;
      dy.columns = outputs;
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
