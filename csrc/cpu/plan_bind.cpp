// Binds a program to memory: what ops need worked out first, tensors in their places, calls in their
// phases.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "base/dual.h"
#include "base/error.h"
#include "cpu/plan.h"

namespace steep {

namespace {

// What a number's value is.
template <class T> using Real = std::conditional_t<sizeof(T) == 4, float, double>;
template <class T>
constexpr Format kFormat = sizeof(T) == 4   ? Format::Float32
                           : sizeof(T) == 8 ? Format::Float64
                                            : Format::Dual;
template <class T> constexpr const char* kFormatName = sizeof(T) == 4 ? "float32" : "float64";

// A number as T, where T holds it.
template <class T> T number(const std::string& who, double value) {
  if (!(std::abs(value) <= static_cast<double>(std::numeric_limits<Real<T>>::max()))) {
    refuse(who, ": ", value, " is more than ", kFormatName<T>, " holds");
  }
  return static_cast<T>(value);
}

// What calls will read as T.
template <class T> void check_numbers(const Op& op) {
  std::visit(
      [&]<class A>(const A& a) {
        if constexpr (requires { a.f; }) number<T>(op.layer, a.f.alpha);
        if constexpr (requires { a.alpha; }) number<T>(op.layer, a.alpha);
        if constexpr (requires { a.scale; }) number<T>(op.layer, a.scale);
        if constexpr (requires { a.shift; }) number<T>(op.layer, a.shift);
        if constexpr (requires { a.beta; }) number<T>(op.layer, a.beta);
        if constexpr (requires { a.bias; }) number<T>(op.layer, a.bias);
        if constexpr (requires { a.option; }) {  // smaller ones would be flushed to 0: another loss
          const double least = static_cast<double>(std::numeric_limits<Real<T>>::min());
          if (a.option != 0 && std::abs(a.option) < least) {
            refuse("loss: its number ", a.option, " is less than ", kFormatName<T>, " holds, ",
                   least);
          }
          number<T>("loss", a.option);
        }
      },
      op.what);
}

// The numbers of one pixel over and over, and the row that calls see of them.
template <class T> struct Repeated : ByChannel<T> {
  Repeated(const std::string& who, const std::vector<double>& scales,
           const std::vector<double>& shifts, long width)
      : scale_row(repeat(who, scales, width)), shift_row(repeat(who, shifts, width)) {
    this->scale = scale_row.data();
    this->shift = shift_row.empty() ? nullptr : shift_row.data();
  }
  static std::vector<T> repeat(const std::string& who, const std::vector<double>& pixel,
                               long width) {
    std::vector<T> row(pixel.empty() ? 0 : padded(width));
    for (long c = 0; c < width && !pixel.empty(); ++c) {
      row[c] = number<T>(who, pixel[c % pixel.size()]);
    }
    return row;
  }
  std::vector<T> scale_row, shift_row;
};

// The convolution an op is a step of; null for others, and for those of every channel alone.
const ops::Convolving* convolving(const Op& op) {
  return std::visit(
      []<class A>(const A& a) -> const ops::Convolving* {
        if constexpr (std::is_base_of_v<ops::Convolving, A>) return a.depthwise ? nullptr : &a;
        return nullptr;
      },
      op.what);
}

// Scratch memory that an op says it wants, in elements.
long scratch_of(const Op& op) {
  return std::visit(
      [](const auto& a) {
        if constexpr (requires { a.scratch(); }) return a.scratch();
        return 0L;
      },
      op.what);
}

bool turns_weights(const Op& op) {
  return std::visit(
      [](const auto& a) {
        if constexpr (requires { a.turns(); }) return a.turns();
        return false;
      },
      op.what);
}

}  // namespace

template <class T>
const Conv<T>& Plan<T>::conv_of(const ops::Convolving& op, int weight) {
  // Weights that are used twice may see images of two sizes, at two strides.
  auto& known = convs_[weight];
  for (const auto& conv : known) {
    if (conv->same(op.window, op.groups)) return *conv;
  }
  const long filters = weights_->layout().slices[weight].columns;
  known.push_back(std::make_shared<const Conv<T>>(k_, op.window, filters, op.groups));
  scratch_elements_ = std::max(scratch_elements_, known.back()->scratch());
  return *known.back();
}

// Forward passes that take weights as they are stored need no packing.
template <class T> void Plan<T>::drop_packs() {
  std::vector<bool> dead(program_.ops.size(), false);
  std::vector<bool> gone(program_.tensors.size(), false);
  for (std::size_t i = 0; i < program_.ops.size(); ++i) {
    const Op& op = program_.ops[i];
    const auto* pack = op.as<ops::ConvPack>();
    dead[i] = pack && conv_of(*pack, op.parameter(0)).packed_size(pack->transposed) == 0;
    if (dead[i]) gone[op.out] = true;
  }
  program_.remove(dead);
  for (Op& op : program_.ops) std::erase_if(op.in, [&](int x) { return gone[x]; });
}

// Sizes that follow from how this device works, and its scratch memory.
template <class T> void Plan<T>::prepare() {
  for (Tensor& t : program_.tensors) t.format = kFormat<T>;
  drop_packs();
  for (const Op& op : program_.ops) {
    check_numbers<T>(op);
    scratch_elements_ = std::max(scratch_elements_, scratch_of(op));
    if (turns_weights(op)) {
      const Slice& s = weights_->layout().slices[op.parameter(0)];
      if (!s.narrow) scratch_elements_ = std::max(scratch_elements_, turned_elements(s.columns));
    }
    if (op.as<ops::Loss>() && program_.tensors[op.in[0]].shape.size() > 1) {
      const long columns = program_.tensors[op.in[0]].shape.back();
      scratch_elements_ = std::max(scratch_elements_, padded_rows(columns) * padded(columns));
    }
    const ops::Convolving* of = convolving(op);
    if (of != nullptr) conv_of(*of, op.parameter(0));
    if (const auto* pack = op.as<ops::ConvPack>()) {
      program_.tensors[op.out].width =
          conv_of(*pack, op.parameter(0)).packed_size(pack->transposed);
    }
    if (op.as<ops::SparseMatMulGrad>()) {
      Tensor& out = program_.tensors[op.out];
      out.width = weights_->layout().slices[op.parameter(0)].size;
      out.samples = kAllSamples;
    }
    if (const auto* grad = op.as<ops::ConvGradWeight>()) {
      Tensor& out = program_.tensors[op.out];
      out.width = weights_->layout().slices[op.parameter(0)].size;
      out.samples = of ? conv_of(*of, op.parameter(0)).images_per_group()
                       : images_per_group(grad->window, grad->window.channels, 1, true);
    }
  }
  cost_per_row_ = flops_per_row(program_);
}

template <class T> void Plan<T>::allocate(const Schedule& schedule) {
  const auto bytes = static_cast<std::size_t>(schedule.bytes);
  if (!arena_ || arena_->bytes() < bytes) arena_ = std::make_shared<Block>(bytes);
  std::byte* base = arena_->data();
  for (std::size_t x = 0; x < schedule.offset.size(); ++x) {
    std::byte* const from = schedule.apart[x] ? kept_.block->data() : base;
    const long offset = schedule.offset[x];
    buffers_.push_back(offset < 0 ? nullptr : reinterpret_cast<T*>(from + offset));
  }
  strides_ = schedule.stride;
  const long width = schedule.target_width;
  each_ = {reinterpret_cast<double*>(base + schedule.values),
           reinterpret_cast<double*>(base + schedule.correct),
           reinterpret_cast<long*>(base + schedule.order),
           reinterpret_cast<int32_t*>(base + schedule.labels),
           reinterpret_cast<T*>(base + schedule.weights),
           {reinterpret_cast<T*>(base + schedule.target), width, width}};
}

template <class T> View<T> Plan<T>::view(int tensor) const {
  if (tensor < 0) return {};
  return {buffers_[tensor], strides_[tensor], program_.tensors[tensor].width};
}

template <class T> const void* Plan<T>::made_for(const Op& op) {
  if (const ops::Convolving* of = convolving(op)) return &conv_of(*of, op.parameter(0));
  return std::visit(
      [&]<class A>(const A& a) -> const void* {
        if constexpr (std::is_base_of_v<ops::Losing, A>) {
          const auto own = std::make_shared<PerRow<T>>(each_);
          own->values = values(a.term);
          own->correct = correct(a.term);
          own->target.columns = program_.tensors[op.in[0]].width;
          made_.push_back(own);
          return own.get();
        }
        if constexpr (requires { a.scales; }) {
          if (a.scales.empty()) return nullptr;
          const auto row = std::make_shared<const Repeated<T>>(op.layer, a.scales, a.shifts,
                                                               program_.tensors[op.out].width);
          made_.push_back(row);
          return static_cast<const ByChannel<T>*>(row.get());
        }
        return nullptr;
      },
      op.what);
}

template <class T> Work<T> Plan<T>::work_of(const Op& op) const {
  if (op.in.size() > kMostTensors || op.parameters.size() > kMostParameters) {
    refuse(op.layer, ": an op may read ", kMostTensors, " tensors and ", kMostParameters,
           " parameters, got ", op.in.size(), " and ", op.parameters.size());
  }
  Work<T> work;
  work.attributes = std::visit([](const auto& a) -> const void* { return &a; }, op.what);
  work.k = &k_;
  for (std::size_t i = 0; i < op.in.size(); ++i) work.in[i] = view(op.in[i]);
  work.out = view(op.out);
  work.before = view(op.before);
  work.stored = view(op.stored);
  for (std::size_t i = 0; i < op.parameters.size(); ++i) {
    if (op.parameters[i] >= 0) work.parameters[i] = parameter(op.parameters[i]);
  }
  if (op.parameter(0) >= 0) {
    const Slice& s = weights_->layout().slices[op.parameter(0)];
    work.weight = s.panels();
    work.narrow = s.narrow;
  }
  work.accumulate = op.accumulate;
  work.samples = op.out < 0 ? 1 : program_.tensors[op.out].samples;
  return work;
}

// That threads share, of an op that crosses samples.
template <class T> long Plan<T>::units_of(const Op& op, const Work<T>& work) const {
  const auto* const conv = static_cast<const Conv<T>*>(work.made);
  return std::visit(
      [&]<class A>(const A& a) -> long {
        if constexpr (std::is_same_v<A, ops::ConvPack>) return conv->pack_units(a.transposed);
        if constexpr (std::is_same_v<A, ops::ConvGradWeight>) {
          return ceil_div(capacity_, work.samples) * (a.depthwise ? 1 : conv->weight_units());
        }
        if constexpr (requires { a.blocks(); }) {
          return (requires { A::kLikeParameter; } ? 1 : capacity_) * a.blocks();
        }
        if constexpr (requires {
                        A::kCrosses;
                        a.units();
                      }) {
          return a.units();
        }
        return 0;
      },
      op.what);
}

template <class T> void Plan<T>::bind(const Op& op, bool backward) {
  const Call<T> run = k_.calls[op.what.index()];
  if (run == nullptr) return;
  Work<T> work = work_of(op);
  work.made = made_for(op);
  const auto* statistics = op.as<ops::BatchStatistics>();
  if (statistics != nullptr && statistics->followed) {
    const long n = padded(statistics->channels);
    running_.push_back({parameter(op.parameter(1)), parameter(op.parameter(2)), work.out.data,
                        work.out.data + 3 * n, work.out.ld, *statistics});
  }
  if (const auto* vectors = op.as<ops::SpectralVectors>();
      vectors != nullptr && vectors->followed) {
    iterated_.push_back({parameter(op.parameter(1)), work.out.data, vectors->outputs});
  }
  if (const auto* kept = op.as<ops::KeepRows>(); kept != nullptr && kept->followed) {
    iterated_.push_back(
        {parameter(op.parameter(0)), work.out.data, kept->width, work.out.ld, kept->rows});
  }
  const bool found = op.out >= 0 && !kept_.found.empty() && kept_.found[op.out];
  phases_.back().calls.push_back({run, work, op.out, op.before, units_of(op, work), op.layer,
                                  name_of(op), backward, found, watched_by(op)});
}

// The first that writes it: what computes it again writes the same.
template <class T> int Plan<T>::watched_by(const Op& op) const {
  for (std::size_t i = 0; i < watched_.size(); ++i) {
    if (watched_[i].tensor != op.out) continue;
    for (const Phase<T>& phase : phases_)
      for (const BoundCall<T>& call : phase.calls)
        if (call.watched == static_cast<int>(i)) return -1;
    return static_cast<int>(i);
  }
  return -1;
}

template <class T> void Plan<T>::watch(int threads) {
  if (watch_ && watching_threads_ >= threads) return;
  watching_threads_ = threads;
  watch_ = std::make_unique<Watch<T>>(watched_, capacity_, threads);
}

template <class T>
Plan<T>::Plan(Program program, const Kernels<T>& kernels, std::shared_ptr<CpuStore<T>> weights,
              long capacity, std::shared_ptr<Block> arena, Kept kept)
    : Plan(std::move(program), kernels, std::move(weights), capacity, Unbound{}) {
  arena_ = std::move(arena);
  kept_ = std::move(kept);
  prepare();
  watched_ = steep::watched(program_);
  const Schedule schedule(program_, capacity, kept_.offset);
  allocate(schedule);
  for (const Group& group : schedule.groups) {
    phases_.push_back({group.crosses, group.meets, group.chunk, {}});
    for (std::size_t i = group.first; i < group.last; ++i) {
      bind(program_.ops[i], i >= program_.backward);
    }
  }
  bind_tasks();
  reserve_threads(1);
}

template <class T>
long Plan<T>::bytes(Program program, const Kernels<T>& kernels,
                    std::shared_ptr<CpuStore<T>> weights, long capacity, int threads,
                    const std::vector<long>& kept) {
  Plan plan(std::move(program), kernels, std::move(weights), capacity, Unbound{});
  plan.prepare();
  const Schedule schedule(plan.program_, capacity, kept);
  const auto scratch = static_cast<std::size_t>(plan.scratch_elements_) * sizeof(T);
  return static_cast<long>(Block::rounded(static_cast<std::size_t>(schedule.bytes))) +
         threads * static_cast<long>(Block::rounded(scratch));
}

#define STEEP_PLAN(T)                                                                          \
  template Plan<T>::Plan(Program, const Kernels<T>&, std::shared_ptr<CpuStore<T>>, long,       \
                         std::shared_ptr<Block>, Kept);                                        \
  template void Plan<T>::watch(int);                                                           \
  template long Plan<T>::bytes(Program, const Kernels<T>&, std::shared_ptr<CpuStore<T>>, long, \
                               int, const std::vector<long>&);
STEEP_PLAN(float)
STEEP_PLAN(double)
STEEP_PLAN(portable::Dual)
#undef STEEP_PLAN

}  // namespace steep
