// Gives tensors places in the Arena and binds the ops of dense networks.
#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "cpu/binder.h"
#include "graph/names.h"

namespace steep {

namespace {

// Rows of a sample chunk should leave room in a 1 MiB cache for the weights that stream through.
constexpr long kChunkBytes = 1L << 20;
constexpr long kLeastChunk = 64;

// Does f leave something else than 0 where padding is 0, or f' times 0?
template <class T> bool spoils_padding(const Kernels<T>& k, int activation, T alpha) {
  alignas(64) T zero[kLane] = {}, y[kLane] = {}, dx[kLane] = {};
  k.activate[activation](zero, kLane, y, kLane, 1, kLane, alpha);
  k.activate_grad[activation](zero, kLane, zero, kLane, dx, kLane, 1, kLane, alpha, false);
  return !(y[0] == 0 && dx[0] == 0);
}

}  // namespace

template <class T> calls::Rows<T> Plan<T>::Binder::rows(int tensor) const {
  if (tensor < 0) return {};
  return {plan.buffers_[tensor], plan.strides_[tensor], program().tensors[tensor].width};
}

template <class T> void Plan<T>::Binder::join_aliases() {
  root.resize(program().tensors.size());
  std::iota(root.begin(), root.end(), 0);
  for (const Op& op : program().ops) {
    if (op.kind == Kind::Alias) root[op.out] = root[op.in[0]];
  }
}

template <class T> long Plan<T>::Binder::buffer_rows(int tensor) const {
  const long samples = program().tensors[tensor].samples;
  return samples == kAllSamples ? 1 : (plan.capacity_ + samples - 1) / samples;
}

template <class T> long Plan<T>::Binder::stride(int tensor) const {
  return spread(program().tensors[tensor].width);
}

template <class T> std::vector<Lifetime> Plan<T>::Binder::lifetimes() const {
  std::vector<Lifetime> out(program().tensors.size(), {0, 0, -1, -1, -1, -1});
  const auto touch = [&](int tensor, int when, int phase) {
    if (tensor < 0) return;
    Lifetime& t = out[root[tensor]];
    if (t.first < 0) {
      t.first = when;
      t.first_phase = phase;
    }
    t.last = std::max(t.last, when);
    t.last_phase = std::max(t.last_phase, phase);
    t.rows = buffer_rows(tensor);
    t.stride = stride(tensor) * static_cast<long>(sizeof(T));
  };
  for (std::size_t phase = 0; phase < spans.size(); ++phase) {
    for (std::size_t i = spans[phase].first; i < spans[phase].last; ++i) {
      const Op& op = program().ops[i];
      const int when = static_cast<int>(i), p = static_cast<int>(phase);
      for (const int x : op.in) touch(x, when, p);
      for (const int x : {op.out, op.stored, op.before}) touch(x, when, p);
      // Ops that cross samples share their phase without an order.
      if (spans[phase].crosses) {
        touch(op.out, static_cast<int>(spans[phase].first), p);
        touch(op.out, static_cast<int>(spans[phase].last) - 1, p);
        for (const int x : op.in) touch(x, static_cast<int>(spans[phase].last) - 1, p);
      }
    }
  }
  const int end = static_cast<int>(program().ops.size());
  const int end_phase = static_cast<int>(spans.size());
  for (const auto& terms : program().terms) {
    for (const GradTerm& t : terms) {
      touch(t.x, end, end_phase);
      touch(t.dy, end, end_phase);
    }
  }
  for (const Op& op : program().ops) {  // running statistics follow them in the end
    if (op.kind == Kind::BatchStatistics) touch(op.out, end, end_phase);
  }
  for (const int x : program().outputs) touch(x, end, end_phase);
  return out;
}

template <class T> T Plan<T>::Binder::number(const std::string& who, double value) {
  if (!(std::abs(value) <= static_cast<double>(std::numeric_limits<T>::max()))) {
    refuse(who, ": ", value, " is more than ", sizeof(T) == 4 ? "float32" : "float64", " holds");
  }
  return static_cast<T>(value);
}

template <class T> long Plan<T>::Binder::reserve(long size) {
  const long at = bytes_;
  bytes_ += (size + 63) / 64 * 64;
  return at;
}

// Sums of sizes stay far from overflow; what is really there is asked of the system.
template <class T> void Plan<T>::Binder::check_bytes() const {
  constexpr double kMostBytes = 1L << 60, kBytesPerRow = 64;  // loss, order, label, weight of a row
  double bytes = kBytesPerRow * static_cast<double>(plan.capacity_);
  const std::size_t tensors = bytes > kMostBytes ? 0 : program().tensors.size();
  for (std::size_t i = 0; i < tensors; ++i) {
    const int tensor = static_cast<int>(i);
    bytes += static_cast<double>(stride(tensor)) * static_cast<double>(buffer_rows(tensor)) *
             static_cast<double>(sizeof(T));
  }
  if (bytes > kMostBytes) {
    refuse("a batch of ", plan.capacity_, " samples needs ", bytes,
           " bytes; choose a smaller batch_size");
  }
}

// Finds places for tensors and for the arrays of a value a row, in one block.
template <class T> void Plan<T>::Binder::arrange() {
  size_tensors();
  check_bytes();
  join_aliases();
  spans = cut_into_phases(plan.program_.ops, root);
  const std::vector<Lifetime> all = lifetimes();
  std::vector<Lifetime> live;
  std::vector<int> index(all.size(), -1);
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].first < 0) continue;
    index[i] = static_cast<int>(live.size());
    live.push_back(all[i]);
  }
  const Placement placed = place(live);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const int at = index[root[i]];
    offset_.push_back(at < 0 ? -1 : placed.offset[at]);
  }
  bytes_ = placed.size;
  const long rows = plan.capacity_;
  const long target_width =
      program().outputs.empty() ? 1 : program().tensors[program().outputs[0]].width;
  at_.values = reserve(rows * static_cast<long>(sizeof(double)));
  at_.correct = reserve(rows * static_cast<long>(sizeof(double)));
  at_.order = reserve(rows * static_cast<long>(sizeof(long)));
  at_.labels = reserve(rows * static_cast<long>(sizeof(int32_t)));
  at_.weights = reserve(rows * static_cast<long>(sizeof(T)));
  target = {nullptr, padded(target_width), target_width};
  const auto is_loss = [](const Op& op) { return op.kind == Kind::Loss; };
  const auto& ops = program().ops;
  const bool loss = std::any_of(ops.begin(), ops.end(), is_loss);
  at_.target = !loss ? 0 : reserve(rows * target.ld * static_cast<long>(sizeof(T)));
}

template <class T> void Plan<T>::Binder::allocate() {
  plan.arena_ = Block(static_cast<std::size_t>(bytes_));
  std::byte* base = plan.arena_.data();
  for (std::size_t i = 0; i < offset_.size(); ++i) {
    const bool one = program().tensors[i].samples == kAllSamples;
    plan.buffers_.push_back(offset_[i] < 0 ? nullptr : reinterpret_cast<T*>(base + offset_[i]));
    plan.strides_.push_back(one ? 0 : stride(static_cast<int>(i)));
  }
  plan.values_ = reinterpret_cast<double*>(base + at_.values);
  plan.correct_ = reinterpret_cast<double*>(base + at_.correct);
  plan.order_ = reinterpret_cast<long*>(base + at_.order);
  labels = reinterpret_cast<int32_t*>(base + at_.labels);
  sample_weights = reinterpret_cast<T*>(base + at_.weights);
  target.data = reinterpret_cast<T*>(base + at_.target);
}

template <class T> bool Plan<T>::Binder::on_images(const Op& op) const {
  const auto image = [&](int x) { return x >= 0 && program().tensors[x].shape.size() == 3; };
  return image(op.out) || (!op.in.empty() && image(op.in[0]));
}

// Images are taken through their calls few at a time, vectors many at a time: weights stream
// through the cache for images, too, but then do more with each element.
template <class T> void Plan<T>::Binder::bind_all() {
  for (const PhaseSpan& span : spans) {
    for (std::size_t first = span.first, last = first; first < span.last; first = last) {
      const bool images = on_images(program().ops[first]);
      const auto together = [&](const Op& op) {
        return span.crosses || op.kind == Kind::Alias || on_images(op) == images;
      };
      while (last < span.last && together(program().ops[last])) ++last;
      const long rows = std::max(images ? 1 : kLeastChunk, kChunkBytes / row_bytes(first, last));
      plan.phases_.push_back(
          {span.crosses, first == span.first && !plan.phases_.empty(), rows, {}});
      for (std::size_t i = first; i < last; ++i) bind(program().ops[i]);
    }
  }
}

// Of all tensors that ops [first, last) touch.
template <class T>
long Plan<T>::Binder::row_bytes(std::size_t first, std::size_t last) const {
  long bytes = 1;
  std::vector<bool> seen(program().tensors.size(), false);
  const auto count = [&](int x) {
    if (x < 0 || seen[root[x]]) return;
    seen[root[x]] = true;
    bytes += plan.strides_[x] * static_cast<long>(sizeof(T));
  };
  for (std::size_t i = first; i < last; ++i) {
    const Op& op = program().ops[i];
    for (const int x : op.in) count(x);
    for (const int x : {op.out, op.stored, op.before}) count(x);
  }
  return bytes;
}

template <class T> void Plan<T>::Binder::bind_matmul(const Op& op) {
  const Slice& s = slice(op.weight);
  const int y = op.out, z = op.before >= 0 ? op.before : op.out;
  const T alpha = number(op.layer, op.alpha);
  const bool fused = op.activation >= 0;
  plan.cost_per_row_ += 2.0 * static_cast<double>(s.rows) * static_cast<double>(s.columns);
  if (s.narrow) {
    return call(op, calls::NarrowMatMul<T>{.k = &plan.k_,
                                           .x = rows(op.in[0]),
                                           .z = rows(z),
                                           .y = rows(y),
                                           .wt = parameter(op.weight),
                                           .bias = parameter(op.bias),
                                           .activation = op.activation,
                                           .alpha = alpha});
  }
  call(op, calls::MatMul<T>{.k = &plan.k_,
                            .x = rows(op.in[0]),
                            .z = rows(z),
                            .y = rows(y),
                            .w = {parameter(op.weight), s.rows, padded(s.columns)},
                            .bias = parameter(op.bias),
                            .activation = op.activation,
                            .relu = fused && z == y && op.activation == activation_index("relu"),
                            .alpha = alpha});
}
template <class T> void Plan<T>::Binder::bind_matmul_grad(const Op& op) {
  const Slice& s = slice(op.weight);
  const T alpha = number(op.layer, op.alpha);
  call(op, calls::MatMulGrad<T>{.k = &plan.k_,
                                .dz = rows(op.in[0]),
                                .dx = rows(op.out),
                                .w = {parameter(op.weight), s.rows, s.columns},
                                .narrow = s.narrow,
                                .accumulate = op.accumulate,
                                .activation = op.stored >= 0 ? op.activation : -1,
                                .stored = rows(op.stored),
                                .alpha = alpha});
  plan.cost_per_row_ += 2.0 * static_cast<double>(s.rows) * static_cast<double>(s.columns);
}
template <class T> void Plan<T>::Binder::bind_dropout(const Op& op) {
  // A word is kept when it reaches the threshold: probability 1 - rate to 32 bits.
  const auto threshold = static_cast<uint32_t>(std::llround(op.rate * 4294967296.0));
  call(op, calls::Dropout<T>{.k = &plan.k_,
                             .x = rows(op.in[0]),
                             .y = rows(op.out),
                             .stream = op.stream,
                             .threshold = threshold,
                             .redraw_epoch = op.redraw_epoch,
                             .scale = static_cast<T>(op.scale),
                             .accumulate = op.accumulate});
}
template <class T> calls::Channels<T> Plan<T>::Binder::by_channel(const Op& op) const {
  const long width = program().tensors[op.out].width;
  const auto repeated = [&](const std::vector<double>& pixel) {
    std::vector<T> row(pixel.empty() ? 0 : padded(width));
    for (long c = 0; c < width && !pixel.empty(); ++c) {
      row[c] = number(op.layer, pixel[c % pixel.size()]);
    }
    return row;
  };
  return {repeated(op.scales), repeated(op.shifts)};
}

// Smaller numbers would be flushed to 0, which means something else.
template <class T> T Plan<T>::Binder::option(double value) {
  const double least = static_cast<double>(std::numeric_limits<T>::min());
  if (value != 0 && std::abs(value) < least) {
    refuse("loss: its number ", value, " is less than ", sizeof(T) == 4 ? "float32" : "float64",
           " holds, ", least);
  }
  return number("loss", value);
}

template <class T> void Plan<T>::Binder::bind(const Op& op) {
  const Kernels<T>* k = &plan.k_;
  const auto in = [&](int i) { return rows(op.in[i]); };
  const auto out = rows(op.out);
  const T alpha = number(op.layer, op.alpha);
  const T scale = number(op.layer, op.scale), shift = number(op.layer, op.shift);
  switch (op.kind) {
    case Kind::Input: {
      const auto& inputs = program().inputs;
      const auto at = std::find(inputs.begin(), inputs.end(), op.out) - inputs.begin();
      return call(op, calls::Input<T>{k, static_cast<int>(at), out, scale, shift, by_channel(op)});
    }
    case Kind::MatMul: return bind_matmul(op);
    case Kind::MatMulGrad: return bind_matmul_grad(op);
    case Kind::Activation:
      return call(op, calls::Activation<T>{k, op.activation, in(0), out, alpha,
                                           spoils_padding(plan.k_, op.activation, alpha)});
    case Kind::ActivationGrad:
      return call(
          op, calls::ActivationGrad<T>{k, op.activation, in(0), in(1), out, alpha, op.accumulate,
                                       spoils_padding(plan.k_, op.activation, alpha)});
    case Kind::Add:
    case Kind::Subtract:
    case Kind::Multiply:
      return call(op, calls::Binary<T>{k, op.kind, in(0), in(1), out, op.accumulate});
    case Kind::Affine:
      return call(op, calls::Affine<T>{k, in(0), out, scale, shift, by_channel(op), op.accumulate});
    case Kind::AddRow:
    case Kind::MultiplyRow:
      return call(op,
                  calls::RowWise<T>{k, op.kind, in(0), out, parameter(op.weight), op.accumulate});
    case Kind::CopyColumns:
      return call(op, calls::CopyColumns<T>{in(0), out, op.from, op.to, op.columns, op.pixels,
                                            op.accumulate});
    case Kind::Softmax: return call(op, calls::Softmax<T>{k, in(0), out});
    case Kind::SoftmaxGrad:
      return call(op, calls::SoftmaxGrad<T>{k, in(0), in(1), out, op.accumulate});
    case Kind::Dropout: return bind_dropout(op);
    case Kind::Alias: return;
    case Kind::Loss:
      return call(op, calls::Loss<T>{k, op.loss, in(0), out, target, labels, sample_weights,
                                     plan.values_, plan.correct_, option(op.loss_option)});
    default: return bind_image_op(op);
  }
}

// What this file defines of them.
template struct Plan<float>::Binder;
template struct Plan<double>::Binder;

template <class T>
Plan<T>::Plan(Program program, const Kernels<T>& kernels, std::shared_ptr<Store<T>> weights,
              long capacity)
    : Plan(std::move(program), kernels, std::move(weights), capacity, Unbound{}) {
  Binder binder(*this);
  binder.arrange();
  binder.allocate();
  binder.bind_all();
  bind_tasks();
  reserve_threads(1);
}

template <class T>
long Plan<T>::bytes(Program program, const Kernels<T>& kernels, std::shared_ptr<Store<T>> weights,
                    long capacity, int threads) {
  Plan plan(std::move(program), kernels, std::move(weights), capacity, Unbound{});
  Binder binder(plan);
  binder.arrange();
  const auto scratch = static_cast<std::size_t>(plan.scratch_elements_) * sizeof(T);
  return static_cast<long>(Block::rounded(static_cast<std::size_t>(binder.bytes()))) +
         threads * static_cast<long>(Block::rounded(scratch));
}

#define STEEP_PLAN(T)                                                                  \
  template Plan<T>::Plan(Program, const Kernels<T>&, std::shared_ptr<Store<T>>, long); \
  template long Plan<T>::bytes(Program, const Kernels<T>&, std::shared_ptr<Store<T>>, long, int);
STEEP_PLAN(float)
STEEP_PLAN(double)
#undef STEEP_PLAN

}  // namespace steep
