// Recognises chains of dense layers and runs them, a chunk of samples at a time from their inputs to their
// share of every gradient.
#include "cpu/chain.h"

#include <algorithm>
#include <limits>

#include "cpu/threads.h"
#include "losses/list.h"
#include "plan/rules.h"

namespace steep {

namespace {

constexpr long kRows = 256;              // samples of a chunk: as many as a Plan sums at a time
constexpr long kStride = spread(kRows);  // from row to row of what lies side by side
constexpr long kMostUnits = 64;          // of a layer; wider ones fill their own vectors
constexpr long kMostBytes = 16 << 20;

bool couples(int loss) {
  return loss == index_of<portable::losses::CrossEntropy>(portable::losses::All{});
}

}  // namespace

// Input, products, loss, and the products backward: nothing else.
template <class T> bool Chain<T>::parse(const Program& program, Chain& to) {
  const std::vector<Op>& ops = program.ops;
  std::size_t i = 0;
  const auto next = [&]() -> const Op* { return i < ops.size() ? &ops[i++] : nullptr; };
  const Op* op = next();
  if (op == nullptr || !op->as<ops::Input>() || op->as<ops::Input>()->target) return false;
  to.input_ = op->out;
  int x = op->out;  // under its last name
  for (op = next(); op != nullptr && is_alias(*op) && op->in == std::vector{x}; op = next()) {
    x = op->out;
  }
  std::vector<const Op*> products;
  for (; op != nullptr && op->as<ops::MatMul>(); op = next()) {
    const auto& a = *op->as<ops::MatMul>();
    const int before = products.empty() ? x : products.back()->out;
    if (a.turned || a.positions > 1 || op->in != std::vector{before}) return false;
    const Slice& w = to.slice(op->parameter(0));
    const long in = program.tensors[before].width, out = program.tensors[op->out].width;
    if (out > kMostUnits) return false;
    to.layers_.push_back({.in = in,
                          .out = out,
                          .weight = op->parameter(0),
                          .bias = op->parameter(1),
                          .narrow = w.narrow,
                          .activation = a.f.activation,
                          .alpha = a.f.alpha,
                          .keeps = op->before >= 0});
    products.push_back(op);
  }
  const ops::Loss* const loss = op == nullptr ? nullptr : op->as<ops::Loss>();
  if (products.empty() || loss == nullptr || loss->loss < 0 || op->out < 0) return false;
  if (op->in != std::vector{products.back()->out} || to.layers_.back().activation >= 0)
    return false;
  const long outputs = to.layers_.back().out;
  to.loss_ = {loss->loss, loss->term, loss->option, loss->target, couples(loss->loss)};
  if (outputs > (to.loss_.couples ? kLane : 1)) return false;
  int dz = op->out;
  for (std::size_t l = to.layers_.size() - 1; l > 0; --l) {
    op = next();
    const ops::MatMulGrad* const a = op == nullptr ? nullptr : op->as<ops::MatMulGrad>();
    if (a == nullptr || a->turned || a->positions > 1 || op->accumulate) return false;
    if (op->in != std::vector{dz} || op->parameter(0) != to.layers_[l].weight) return false;
    const Layer& below = to.layers_[l - 1];
    const int stored = below.keeps ? products[l - 1]->before : products[l - 1]->out;
    if (a->f.activation != below.activation || a->f.alpha != below.alpha) return false;
    if (below.activation >= 0 && op->stored != stored) return false;
    dz = op->out;
  }
  if (next() != nullptr) return false;
  std::vector<int> used;
  for (const Layer& layer : to.layers_) {
    used.push_back(layer.weight);
    if (layer.bias >= 0) used.push_back(layer.bias);
  }
  // Each parameter is one layer's, and moves.
  for (std::size_t p = 0; p < program.parameters.size(); ++p) {
    const auto times = std::count(used.begin(), used.end(), static_cast<int>(p));
    if (times != 1 || !program.trains[p] || program.terms[p].size() != 1) return false;
  }
  return true;
}

template <class T> void Chain<T>::place() {
  chunks_ = ceil_div(rows_, kRows);
  inputs_ = padded(layers_[0].in) * kStride;
  long turned = 0;
  const auto take = [&](long elements) { return std::exchange(chunk_, chunk_ + elements); };
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    Layer& layer = layers_[l];
    const long side = padded(layer.out) * kStride;
    layer.z = take(side);
    layer.y = layer.keeps ? take(side) : layer.z;
    layer.dz = take(side);
    if (!by_input(l)) layer.dz_rows = take(padded(layer.out) * kRows);
    const Panels of = sides(layer, by_input(l));
    if (l == 0 && !layer.narrow) layer.turned = std::exchange(turned, turned + of.size());
    for (long p = 0; p < of.count(); ++p) tasks_.push_back({static_cast<int>(l), p});
    if (layer.bias >= 0) tasks_.push_back({static_cast<int>(l), -1});
  }
  turned_ = turned;
}

template <class T> long Chain<T>::bytes() const {
  const long elements[] = {chunks_ * chunk_, chunks_ * inputs_, turned_};
  long sum = 0;
  for (const long n : elements) sum += Block::rounded(static_cast<std::size_t>(n) * sizeof(T));
  return sum;
}

template <class T>
std::unique_ptr<Chain<T>> Chain<T>::of(const Program& program, const Kernels<T>& kernels,
                                       const CpuStore<T>& weights, long rows) {
  std::unique_ptr<Chain> chain(new Chain(kernels, weights, rows));
  if (!parse(program, *chain)) return nullptr;
  chain->place();
  return chain->bytes() <= kMostBytes ? std::move(chain) : nullptr;
}

template <class T> void Chain<T>::allocate() {
  const auto block = [](long n) { return Block(static_cast<std::size_t>(n) * sizeof(T)); };
  memory_ = block(chunks_ * chunk_);
  samples_ = block(chunks_ * inputs_);
  sums_ = block(turned_);
}

template <class T> long Chain<T>::count(long chunk) const {
  return std::min(kRows, rows_ - chunk * kRows);
}

template <class T> bool Chain<T>::read(const Plan<T>& plan, const Step<T>& step) {
  const Dataset& data = step.batcher->data();
  labels_ = data.targets[loss_.target].labels != nullptr;
  if ((loss_.couples && !labels_) || data.positions_of(-1, loss_.target) != nullptr) return false;
  const LossTerm& term = plan.losses()[static_cast<std::size_t>(loss_.term)];
  weighed_ = data.weights_of(term.weights, -1) != nullptr;
  each_ = plan.each(static_cast<std::size_t>(loss_.term));
  x_ = plan.row(input_, 0);
  x_ld_ = plan.row(input_, 1) - x_;
  if (memory_.bytes() == 0) allocate();
  T* const samples = reinterpret_cast<T*>(samples_.data());
  for (long c = 0; c < chunks_; ++c) {
    k_.transpose(x_ + c * kRows * x_ld_, x_ld_, samples + c * inputs_, kStride, count(c),
                 layers_[0].in);
  }
  return true;
}

template <class T> void Chain<T>::forward(long chunk, T* at) const {
  const long width = ceil_div(count(chunk), kPanel) * kPanel;
  const T* x = reinterpret_cast<const T*>(samples_.data()) + chunk * inputs_;
  for (const Layer& layer : layers_) {
    const T *const w = parameter(layer.weight), *const bias = layer.bias < 0
                                                                  ? nullptr
                                                                  : parameter(layer.bias);
    T* const z = at + layer.z;
    const Panels of{layer.in, layer.out};
    if (layer.narrow) {
      k_.narrow_columns(x, kStride, w, bias, z, kStride, layer.in, layer.out, width);
    }
    for (long p = 0; p < of.count() && !layer.narrow; ++p) {
      k_.gemm_panel({.a = w + of.offset(p),
                     .lda = of.width(p),
                     .a_transposed = true,
                     .b = x,
                     .ldb = kStride,
                     .c = z + p * kPanel * kStride,
                     .ldc = kStride,
                     .rows = of.present(p),
                     .columns = width,
                     .depth = layer.in,
                     .row_bias = bias ? bias + p * kPanel : nullptr});
    }
    if (layer.activation >= 0) {
      k_.activate[layer.activation](z, kStride, at + layer.y, kStride, layer.out, width,
                                    static_cast<T>(layer.alpha));
    }
    x = at + layer.y;
  }
}

template <class T> void Chain<T>::loss(long chunk, T* at, const Step<T>& step) const {
  const Layer& last = layers_.back();
  const long first = chunk * kRows;
  k_.loss[loss_.index]({.z = at + last.z,
                        .ldz = kStride,
                        .columns = last.out,
                        .labels = labels_ ? each_.labels + first : nullptr,
                        .target = labels_ ? nullptr : each_.target.at(first),
                        .ldt = each_.target.ld,
                        .weights = weighed_ ? each_.weights + first : nullptr,
                        .factor = step.factors[loss_.term],
                        .option = static_cast<T>(loss_.option),
                        .values = each_.values + first,
                        .correct = each_.correct + first,
                        .dz = at + last.dz,
                        .lddz = kStride,
                        .rows = count(chunk),
                        .turned = true});
}

// dx = W dz
template <class T>
void Chain<T>::send_back(const Layer& layer, const T* dz, T* dx, long width) const {
  const T* const w = parameter(layer.weight);
  const Panels of = sides(layer, layer.narrow);
  for (long p = 0; p < of.count(); ++p) {
    k_.gemm_panel({.a = w + of.offset(p),
                   .lda = of.width(p),
                   .a_transposed = layer.narrow,
                   .b = layer.narrow ? dz : dz + p * kPanel * kStride,
                   .ldb = kStride,
                   .c = layer.narrow ? dx + p * kPanel * kStride : dx,
                   .ldc = kStride,
                   .rows = layer.narrow ? of.present(p) : layer.in,
                   .columns = width,
                   .depth = layer.narrow ? layer.out : of.present(p),
                   .accumulate = !layer.narrow && p > 0});
  }
}

// What the gradient of the weights wants as rows.
template <class T> void Chain<T>::turn(const Layer& layer, long chunk, T* at) const {
  if (layer.dz_rows < 0) return;
  const long out = padded(layer.out);
  k_.transpose(at + layer.dz, kStride, at + layer.dz_rows, out, out, count(chunk));
}

template <class T> void Chain<T>::backward(long chunk, T* at) const {
  const long width = ceil_div(count(chunk), kPanel) * kPanel;
  for (std::size_t l = layers_.size() - 1; l > 0; --l) {
    const Layer &layer = layers_[l], &below = layers_[l - 1];
    turn(layer, chunk, at);
    T* const dx = at + below.dz;
    send_back(layer, at + layer.dz, dx, width);
    if (below.activation < 0) continue;
    k_.activate_grad[below.activation](dx, kStride, at + (below.keeps ? below.z : below.y), kStride,
                                       dx, kStride, below.out, width, static_cast<T>(below.alpha),
                                       false);
  }
  turn(layers_[0], chunk, at);
}

// A chunk's share of a gradient; the first chunk begins it.
template <class T> void Chain<T>::add(const Task& task, long chunk, const T* at, T* g) {
  const auto l = static_cast<std::size_t>(task.layer);
  const Layer& layer = layers_[l];
  const long samples = count(chunk);
  const bool accumulate = chunk > 0;
  if (task.panel < 0) {
    return k_.row_sum(at + layer.dz, kStride, layer.out, samples, g + slice(layer.bias).offset,
                      accumulate);
  }
  const Panels of = sides(layer, by_input(l));
  const long first = task.panel * kPanel, width = of.width(task.panel);
  T* const whole = layer.turned < 0 ? g + slice(layer.weight).offset
                                    : reinterpret_cast<T*>(sums_.data()) + layer.turned;
  T* const c = whole + of.offset(task.panel);
  if (l > 0 && layer.narrow) {
    const T* const x = at + layers_[l - 1].y + first * kStride;
    return k_.narrow_gradient(at + layer.dz, kStride, layer.out, x, kStride, width, samples, c,
                              width, accumulate);
  }
  GemmPanel<T> product{.lda = kStride,
                       .c = c,
                       .ldc = width,
                       .rows = of.rows,
                       .columns = width,
                       .depth = samples,
                       .accumulate = accumulate};
  if (l == 0) {
    product.a = at + layer.dz;
    product.b = x_ + chunk * kRows * x_ld_ + first;
    product.ldb = x_ld_;
  } else {
    product.a = at + layers_[l - 1].y;
    product.b = at + layer.dz_rows + first;
    product.ldb = padded(layer.out);
  }
  k_.gemm_panel(product);
}

// Turns it into the layout of the weights, where it is not, and adds the penalties.
template <class T> void Chain<T>::finish(const Task& task, const Terms& terms, T* g) const {
  const auto l = static_cast<std::size_t>(task.layer);
  const Layer& layer = layers_[l];
  const int p = task.panel < 0 ? layer.bias : layer.weight;
  const T* const w = weights_.column(0);
  const auto penalise = [&](long offset, long n) {
    k_.penalise(g + offset, w + offset, n, static_cast<T>(terms.l1[p]), static_cast<T>(terms.l2[p]),
                static_cast<T>(kNoLimit));
  };
  const long start = slice(p).offset;
  if (task.panel < 0) return penalise(start, padded(layer.out));
  const Panels of = sides(layer, by_input(l));
  if (layer.turned < 0) {
    return penalise(start + of.offset(task.panel), of.rows * of.width(task.panel));
  }
  const Panels to{layer.in, layer.out};
  const long first = task.panel * kPanel, rows = of.present(task.panel);
  const T* const from =
      reinterpret_cast<const T*>(sums_.data()) + layer.turned + of.offset(task.panel);
  for (long q = 0; q < to.count(); ++q) {
    const long offset = start + to.at(first, q * kPanel), ld = of.width(task.panel);
    k_.transpose(from + q * kPanel * ld, ld, g + offset, to.width(q), to.present(q), rows);
    penalise(offset, rows * to.width(q));
  }
}

template <class T>
double Chain<T>::objective(const Plan<T>& plan, const Step<T>& step, const Terms& terms, T* g,
                           int threads) {
  T* const memory = reinterpret_cast<T*>(memory_.data());
  Halt* const halt = step.halt;
  const auto last = static_cast<long>(tasks_.size());
  pool().run(threads, [&](int thread, int members) {
    const auto left = [&] {
      if (halt != nullptr && thread == 0) halt->ask();
      return halt != nullptr && halt->wanted();
    };
    // Alone, a thread keeps to the memory of one chunk, and to its caches.
    const auto at = [&](long c) { return memory + (members > 1 ? c * chunk_ : 0); };
    for (long c = thread; c < chunks_ && !left(); c += members) {
      forward(c, at(c));
      loss(c, at(c), step);
      backward(c, at(c));
      for (long i = 0; members == 1 && i < last; ++i) add(tasks_[i], c, at(c), g);
    }
    if (members > 1) pool().meet();
    for (long i = thread; i < last && !left(); i += members) {
      for (long c = 0; members > 1 && c < chunks_; ++c) add(tasks_[i], c, at(c), g);
      finish(tasks_[i], terms, g);
    }
  });
  if (halt != nullptr && halt->wanted()) return std::numeric_limits<double>::quiet_NaN();
  return value(plan, weights_, step, terms);
}

template class Chain<float>;
template class Chain<double>;

}  // namespace steep
